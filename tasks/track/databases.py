"""Creation of the MLflow database under a lock, because its first migration must not run twice at the same time."""

from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock
from mlflow import MlflowClient
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import NullPool

from itm.core.errors import ParamsError
from itm.store.files import write_atomically

MIGRATION_LOCK = 0x69746D  # number of the advisory lock: "itm" in ASCII


def create_tables(uri: str) -> None:
    """Create missing tables of the database at `uri`. Several processes may call this at the same time.

    An SQLite file is protected by a lock file, a PostgreSQL database by an advisory lock, which also works between machines. An
    MLflow server creates its own tables.
    """
    kind = urlsplit(uri).scheme.partition("+")[0]
    if kind == "sqlite":
        path = uri.removeprefix("sqlite:///")
        if "?" in path:  # the rest of it would be options of the database, and another file would be written
            raise ParamsError(
                f"track.uri: the path {path!r} contains '?', which the address of an SQLite database cannot; change `store` or "
                "write another path into track.uri."
            )
        _create_sqlite(Path(path))
    elif kind in ("postgres", "postgresql"):  # MLflow rejects the first with a message that shows the password
        _create_postgres(uri)


def _create_sqlite(path: Path) -> None:
    """Create the file atomically, because an interrupted migration cannot be resumed."""

    def migrate(temporary: Path) -> None:
        MlflowClient(f"sqlite:///{temporary}").search_experiments()

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            write_atomically(path, migrate)


def _create_postgres(uri: str) -> None:
    """Create the tables under an advisory lock, which is released when the transaction ends or the process is killed."""
    try:
        connection = _engine(uri).connect()
    except OperationalError as error:
        reason = " ".join(str(error.orig).split())
        raise ParamsError(f"track.uri: no connection to the database ({reason}); create it, or correct the URI.") from error
    with connection, connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:which)"), {"which": MIGRATION_LOCK})
        MlflowClient(uri, registry_uri=uri).search_experiments()


def _engine(uri: str) -> Engine:
    """Return an engine without connection pool. Messages do not repeat the URI, because it contains a password."""
    hint = "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters of the password escaped (%40 for @)."
    try:
        asynchronous = make_url(uri).get_dialect().is_async
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ParamsError(f"track.uri: the URI of the database is invalid ({type(error).__name__}); {hint}") from None
    if asynchronous or urlsplit(uri).netloc.count("@") > 1:
        problem = "its driver is asynchronous, which only Prefect supports" if asynchronous else "it has more than one @"
        raise ParamsError(f"track.uri: the URI of the database is invalid: {problem}; {hint}")
    try:
        return create_engine(uri, poolclass=NullPool)
    except ModuleNotFoundError as error:
        raise ParamsError(f"track.uri: PostgreSQL needs {error.name}; run pip install 'itm-rank[postgres]'.") from error
