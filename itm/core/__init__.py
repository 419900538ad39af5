"""Errors, keys, records, parameters, text and logs: what every other package uses."""
