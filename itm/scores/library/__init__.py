"""The other scores, one file each."""
