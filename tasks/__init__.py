"""One Prefect task a step, each a few lines around one call of the library."""
