"""A real PostgreSQL server of our own: a temporary folder, the loopback interface, a free port, passwords."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Connection, create_engine, inspect, text
from sqlalchemy.pool import NullPool

OWNER = "ranker"
# The server refuses to run as root.
AS_USER: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


@dataclass(frozen=True)
class Database:
    """A database of the running server."""

    address: URL

    def url(self, driver: str = "postgresql") -> str:
        """Return its address, the password escaped."""
        return self.address.set(drivername=driver).render_as_string(hide_password=False)

    def tables(self) -> list[str]:
        """Return the names of all tables."""
        with self._connection() as connection:
            return inspect(connection).get_table_names()

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        with self._connection() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    def run(self, *statements: str) -> None:
        """Run statements, each in a transaction of its own or in none."""
        with self._connection() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def _connection(self) -> Connection:
        return create_engine(self.address, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect()


@dataclass(frozen=True)
class Cluster:
    """A running server, and the password of its superuser and of who owns databases."""

    port: int
    password: str

    def database(self, name: str, user: str = OWNER) -> Database:
        """Return the database of that name, be it there or not."""
        return Database(URL.create("postgresql", user, self.password, "127.0.0.1", self.port, name))

    def create(self, name: str) -> Database:
        """Make an empty database, anew where there is one."""
        self.database("postgres", "postgres").run(
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name} OWNER {OWNER}"
        )
        return self.database(name)


@contextmanager
def started() -> Iterator[Cluster]:
    """Start the server that Debian's package brings, and stop it at the end."""
    binaries = _binaries()
    password = f"{secrets.token_hex(8)}@/:%"  # all that an address must escape
    folder = Path(tempfile.mkdtemp(prefix="itm-postgres-"))  # not pytest's folder: the user postgres may not enter that
    data, port = folder / "data", free_port()
    (folder / "password").write_text(password)
    if AS_USER:
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres", "postgres")
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_connections=60"
    try:
        made = ["-U", "postgres", f"--pwfile={folder / 'password'}", "--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"]
        _call(binaries / "initdb", "-D", data, *made, "--no-sync", folder=folder)
        _call(binaries / "pg_ctl", "-D", data, "-l", folder / "log", "-o", settings, "-w", "start", folder=folder)
        running = Cluster(port, password)
        running.database("postgres", "postgres").run(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{password}'")
        yield running
    finally:
        if (data / "postmaster.pid").exists():
            _call(binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop", folder=folder)
        shutil.rmtree(folder)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def _binaries() -> Path:
    """Return the folder of the server's programs; Debian keeps them out of PATH."""
    on_path = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    for folder in (*on_path, *reversed(versions)):
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "postgres")):
            return folder
    pytest.skip("PostgreSQL is not installed: apt-get install postgresql brings it")


def _call(*words: str | Path, folder: Path) -> None:
    # The server inherits what it is started with; a pipe would be read until it stops.
    with (folder / "calls").open("a+") as output:
        done = subprocess.run([str(word) for word in words], cwd=folder, stdout=output, stderr=output, check=False, **AS_USER)
        output.seek(0)
        assert done.returncode == 0, f"{words[0]} failed: {output.read()}"
