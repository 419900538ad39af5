"""The log of a refresh as lines of JSON: who wants to count or search finds run, model and data in fields of their own."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

from itm.core.secrets import hidden


class _Discreet(JsonFormatter):
    """Writes a record without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))


@contextmanager
def logged(path: Path, run: int) -> Iterator[None]:
    """Write what the library logs meanwhile into `path` too, each line with the number of the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    names = {"asctime": "time", "levelname": "level", "name": "logger"}
    handler.setFormatter(
        _Discreet("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=names, static_fields={"run": run})
    )
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
        handler.close()
