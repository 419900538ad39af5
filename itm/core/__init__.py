"""Errors, keys, records, parameters, text and logs, used by every other package."""
