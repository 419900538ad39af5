"""The home and the database of a Prefect server, and what is wrong with them."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from prefect.settings import PREFECT_HOME, PREFECT_SERVER_DATABASE_CONNECTION_URL

from itm.core.errors import ServerError
from itm.core.secrets import hide_secrets

LOCKED = 5.0  # seconds to wait for a locked database
INLINE = "or use `--runner inline`, which needs no Prefect"
CAUSES = {  # what Prefect's server and SQLite write, and what it means
    "Can't locate revision": "was made by another version of Prefect",
    "file is not a database": "is damaged",
    "malformed": "is damaged",
    "database is locked": "is locked by another process",
    "readonly database": "cannot be written",
    "unable to open database": "cannot be opened",
    "disk is full": "is on a full disk",
}


def check_home() -> None:
    home = Path(str(PREFECT_HOME.value()))
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise ServerError(
            f"Prefect's home {home} cannot be written ({error.strerror}); set PREFECT_HOME to a folder that can be, {INLINE}."
        ) from error


def check_database() -> None:
    """Find a damaged or locked database at once: the server itself would wait for minutes."""
    if not (path := database()) or not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, timeout=LOCKED, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise ServerError(f"Prefect's server cannot be started: {known_cause(str(error)) or error}, {INLINE}.") from error


def database() -> Path | None:
    """Return the file of the server's SQLite database, if it has one."""
    url = str(PREFECT_SERVER_DATABASE_CONNECTION_URL.value() or "")
    path = url.partition(":///")[2].partition("?")[0]
    return Path(path) if url.startswith("sqlite") and path and ":memory:" not in path else None


def known_cause(said: str) -> str:
    """Return the cause in the log of a server and what to do: a known one, or its last line."""
    for words, cause in CAUSES.items():
        if words in said:
            return f"its database {database()} {cause}; set PREFECT_HOME to another folder"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return hide_secrets(f"it says {lines[-1][:300]!r}; try `prefect server start` by hand") if lines else ""
