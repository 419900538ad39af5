"""What the library logs, on the terminal, a line each and without secrets."""

import logging
import sys

from itm.core.secrets import hidden


class _Discreet(logging.Formatter):
    """Writes a record, its traceback too, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))


def log_to_terminal() -> None:
    """Send the library's log to the terminal, once and beside what else was named."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Discreet("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("itm")
    logger.handlers = [*(other for other in logger.handlers if not isinstance(other.formatter, _Discreet)), handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)
