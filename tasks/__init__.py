"""One Prefect task per step, each a few lines around one call of the library."""
