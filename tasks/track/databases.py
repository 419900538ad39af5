"""MLflow's own database, made once before anyone logs: its first migration is not safe against a second one beside it."""

from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock
from mlflow import MlflowClient
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import NullPool

from itm.core.errors import ParamsError
from itm.store.files import write_beside

MIGRATION = 0x69746D  # which advisory lock: "itm" in ASCII; such locks are counted within one database


def prepare(uri: str) -> None:
    """Make the tables of the database at `uri` where they are missing; any number of processes may call it at once.

    A file of SQLite is made under a lock beside it, a database of PostgreSQL under an advisory lock of its own server, which
    also holds between machines. A server of MLflow does it itself.

    Raises
    ------
    ParamsError
        If the address of a PostgreSQL database cannot be read, or no connection to it can be made.
    """
    kind = urlsplit(uri).scheme.partition("+")[0]
    if kind == "sqlite":
        _make_file(Path(uri.removeprefix("sqlite:///")))
    elif kind in ("postgres", "postgresql"):  # MLflow knows the second alone, but its complaint would show the password
        _make_tables(uri)


def _make_file(path: Path) -> None:
    """Make a new database whole or not at all: a migration that is killed half way could never be finished."""

    def migrate(temporary: Path) -> None:
        MlflowClient(f"sqlite:///{temporary}").search_experiments()

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            write_beside(path, migrate)


def _make_tables(uri: str) -> None:
    """Let the first who comes make the tables; the lock ends with its transaction, so one who is killed keeps nobody out."""
    try:
        connection = _engine(uri).connect()
    except OperationalError as error:
        told = " ".join(str(error.orig).split())
        raise ParamsError(f"track.uri: no connection to the database ({told}); create it, or mend the address.") from error
    with connection, connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:which)"), {"which": MIGRATION})
        MlflowClient(uri, registry_uri=uri).search_experiments()


def _engine(uri: str) -> Engine:
    """Return an engine that keeps no connection; no message repeats an address, since it holds a password."""
    how = "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters of the password escaped (%40 for @)."
    try:
        asynchronous = make_url(uri).get_dialect().is_async
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ParamsError(f"track.uri: the address of the database cannot be read ({type(error).__name__}); {how}") from None
    if asynchronous or urlsplit(uri).netloc.count("@") > 1:
        problem = "its driver is for Prefect alone" if asynchronous else "it has more than one @"
        raise ParamsError(f"track.uri: the address of the database is wrong: {problem}; {how}")
    try:
        return create_engine(uri, poolclass=NullPool)
    except ModuleNotFoundError as error:
        raise ParamsError(f"track.uri: PostgreSQL needs {error.name}; run pip install 'itm-rank[postgres]'.") from error
