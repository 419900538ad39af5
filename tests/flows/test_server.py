"""Where Prefect cannot start, one line names the cause and the way out, and a ranking is computed without it."""

import logging
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import pytest

import flows  # noqa: F401  (sets what must be set before Prefect is imported)
from itm.core.errors import ServerError
from itm.core.params import Params, TrackParams, ZooParams
from itm.core.sections import DataParams, ScoreParams
from itm.store.files import read_table

pytestmark = pytest.mark.servers


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Give Prefect a home of its own and no server."""
    with prefect_at(tmp_path / "prefect") as home:
        yield home


@contextmanager
def prefect_at(home: Path, address: str | None = None) -> Iterator[Path]:
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_HOME,
        PREFECT_SERVER_DATABASE_CONNECTION_URL,
        temporary_settings,
    )

    database = f"sqlite+aiosqlite:///{home / 'prefect.db'}"
    updates = {PREFECT_HOME: home, PREFECT_SERVER_DATABASE_CONNECTION_URL: database, PREFECT_API_URL: address}
    updates = {name: value for name, value in updates.items() if value}
    with pytest.MonkeyPatch.context() as patch, temporary_settings(updates, restore_defaults={PREFECT_API_URL}):
        patch.setattr(SubprocessASGIServer, "_instances", {})  # other tests may have started one
        yield home


def problem() -> str:
    """Return why no server can be provided."""
    from flows.server import provide_server

    with pytest.raises(ServerError) as caught:
        provide_server()
    (line,) = str(caught.value).splitlines()
    assert line.endswith("or use `--runner inline`, which needs no Prefect.")
    return line


def test_a_home_that_is_a_file_is_named(home):
    home.write_text("")
    assert f"Prefect's home {home} cannot be written (File exists); set PREFECT_HOME" in problem()


def test_a_home_below_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with prefect_at(tmp_path / "file" / "prefect"):
        assert "cannot be written (Not a directory); set PREFECT_HOME" in problem()


def test_a_damaged_database_is_named(home):
    home.mkdir()
    (home / "prefect.db").write_text("this is not a database, " * 100)
    assert f"its database {home / 'prefect.db'} is damaged; set PREFECT_HOME to another folder" in problem()


def test_a_locked_database_is_named(home, monkeypatch):
    monkeypatch.setattr("flows.server_home.LOCKED", 0.1)
    home.mkdir()
    with closing(sqlite3.connect(home / "prefect.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (c)")
        connection.execute("BEGIN IMMEDIATE")
        assert f"its database {home / 'prefect.db'} is locked by another process" in problem()


def test_a_database_that_is_a_folder_is_named(home):
    (home / "prefect.db").mkdir(parents=True)
    assert "prefect.db cannot be opened; set PREFECT_HOME" in problem()


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_a_database_of_another_version_is_named(tmp_path):
    from flows.server_home import database

    (tmp_path / "prefect").mkdir()
    with closing(sqlite3.connect(database())) as whole, closing(sqlite3.connect(tmp_path / "prefect/prefect.db")) as copy:
        whole.backup(copy)
        copy.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        copy.commit()
    with prefect_at(tmp_path / "prefect"):
        assert "prefect.db was made by another version of Prefect; set PREFECT_HOME to another folder" in problem()


class _Page(BaseHTTPRequestHandler):
    """Answers everything with a page, as another server or a sign-in page does."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"<html>Sign in</html>")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(status: int) -> Iterator[str]:
    handler = type("Handler", (_Page,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("status", "cause"), [(200, "JSONDecodeError"), (404, "404"), (401, "401"), (503, "503"), (500, "500")]
)
def test_an_address_without_a_prefect_server_is_named(tmp_path, status, cause):
    with serving(status) as address, prefect_at(tmp_path, address):
        line = problem()
    assert line.startswith(f"PREFECT_API_URL names {address}, where no Prefect server answers (")
    assert cause in line
    assert "start it, correct or unset PREFECT_API_URL" in line


def test_a_dead_address_is_named_without_its_password(tmp_path):
    with prefect_at(tmp_path, "http://user:geheim@127.0.0.1:9/api"):
        line = problem()
    assert "PREFECT_API_URL names http://127.0.0.1:9/api, where" in line
    assert "refused" in line
    assert "geheim" not in line


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "gopher://127.0.0.1:9"])
def test_a_proxy_that_httpx_cannot_use_is_named(tmp_path, monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with prefect_at(tmp_path, "http://127.0.0.1:9/api"):
        assert re.search(r"proxy|socks", problem(), re.IGNORECASE)


def test_a_ranking_is_computed_and_tracked_without_prefect(home, store, zoo_file, caplog, capfd):
    from flows.rank import run

    home.write_text("")
    params = Params(
        data=DataParams(sets=("synthetic:shapes?images=60",)),
        zoo=ZooParams(file=zoo_file, models=("test_resnet.drawn_long",)),
        score=ScoreParams(names=("knn",)),
        track=TrackParams(uri=f"sqlite:///{store.root}/mlflow.db"),
        store=store.root,
    )
    log = logging.getLogger("itm.flow")  # Prefect cuts it off from the root logger
    log.addHandler(caplog.handler)
    ranking, untracked = run(params, store)
    log.removeHandler(caplog.handler)
    assert ranking.data_sets[0].rows[0].status == "ranked"
    assert "knn" in set(read_table(store.scores)["score"])
    assert untracked == ""
    assert (store.root / "mlflow.db").exists()
    assert "mlflow" not in capfd.readouterr().err
    (warning,) = {record.getMessage() for record in caplog.records if "Prefect" in record.getMessage()}
    assert warning.startswith(f"Prefect's home {home} cannot be written")
    assert warning.endswith("Running without Prefect.")


def test_a_ranking_does_not_ignore_a_named_server(tmp_path, store):
    from flows.rank import run

    with prefect_at(tmp_path, "http://127.0.0.1:9/api"), pytest.raises(ServerError, match="PREFECT_API_URL names"):
        run(Params(), store)


def test_a_server_that_is_lost_in_between_is_named():
    from flows.server import flow_server

    with (
        pytest.raises(ServerError, match=r"stopped answering .*refused.* the same command resumes"),
        flow_server("http://127.0.0.1:9/api"),
    ):
        httpx.get("http://127.0.0.1:9")


def test_a_server_ends_with_a_killed_process():
    code = f"""
import subprocess, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from flows.server import TIED
server = subprocess.Popen([sys.executable, "-c", TIED, "http.server", "0"], stdin=subprocess.PIPE)
print(server.pid, flush=True)
server.wait()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout
        server = psutil.Process(int(parent.stdout.readline()))
        assert server.is_running()
        parent.kill()
    assert psutil.wait_procs([server], timeout=30)[1] == []


def test_a_command_ends_with_its_server():
    code = """
import subprocess, sys, time
from itm.cli.interrupt import end_on_signals
end_on_signals()
from flows.server import _end_with
server = subprocess.Popen(["sleep", "60"])
may_end = _end_with(server)
if sys.argv[1] == "stopped":
    may_end.set()
server.kill()
time.sleep(5)
sys.exit(7)
"""
    for how, status in (("lost", 2), ("stopped", 7)):
        done = subprocess.run([sys.executable, "-c", code, how], capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert ("error: the Prefect server of this command ended with status -9; finished" in done.stderr) == (status == 2)
