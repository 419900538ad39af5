"""Code that several scores share."""
