"""Logs on the terminal and in files, without secrets."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

from itm.core.secrets import hide_secrets


class _SecretFreeFormatter(logging.Formatter):
    """Formatter that hides secrets in messages and tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        return hide_secrets(super().format(record))


class _SecretFreeJsonFormatter(_SecretFreeFormatter, JsonFormatter):
    pass


class _Terminal(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to the current `sys.stderr`, which a progress display replaces while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def log_to_terminal() -> None:
    """Log to standard error. Repeated calls do not add a second handler; other handlers are kept."""
    handler = _Terminal()
    handler.setFormatter(_SecretFreeFormatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("itm")
    logger.handlers = [*(other for other in logger.handlers if not isinstance(other, _Terminal)), handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # warns of its cache and its fonts in words of its own


@contextmanager
def log_to_file(path: Path, run: int) -> Iterator[None]:
    """Also write the log of the library to `path`, one JSON object per line, each with the number of the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    names = {"asctime": "time", "levelname": "level", "name": "logger"}
    fields = "%(asctime)s %(levelname)s %(name)s %(message)s"
    handler.setFormatter(_SecretFreeJsonFormatter(fields, rename_fields=names, static_fields={"run": run}))
    logger = logging.getLogger("itm")
    level = logger.level
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        with suppress(OSError):  # a full disk: the error that stopped the run must not be lost
            handler.close()
