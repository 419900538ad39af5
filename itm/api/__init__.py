"""The Python door: the functions and classes that `itm` offers to programs and notebooks."""
