"""The command line. Heavy imports are inside the commands, so that `itm --help` is fast."""
