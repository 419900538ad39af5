"""One option of ITM varied at a time."""
