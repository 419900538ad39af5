"""Images in zip and tar files. They are read where they are, and no member is ever extracted under its own name."""
