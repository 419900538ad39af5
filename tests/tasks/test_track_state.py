"""Tracking when things were deleted in MLflow, the store was moved, or the database cannot be used."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from itm.core.errors import StoreError
from itm.core.params import TrackParams
from itm.core.rankings import Ranking
from itm.ranking.recommend import update_recommended
from itm.store.files import write_json, write_text
from itm.store.layout import Store
from tests.report.example import BROKEN, example_ranking

pytestmark = pytest.mark.slow

DATA = "flowers5"


def ranking(name: str = DATA) -> Ranking:
    """Return a ranking of two models, and of a data set that failed."""
    whole = example_ranking()
    first, _, failed = whole.data_sets
    return replace(whole, data_sets=(replace(first, data=name, rows=first.rows[:2]), failed))


def parameters(folder: Path) -> TrackParams:
    return TrackParams(uri=f"sqlite:///{folder}/mlflow.db", artifacts=f"{folder}/mlruns")


def track(folder: Path, result: Ranking | None = None) -> list[str]:
    from tasks.track.ranking import track as task

    parents: list[str] = task.fn(result or ranking(), parameters(folder), Store(folder))
    return parents


def client_of(folder: Path) -> Any:
    from mlflow import MlflowClient

    uri = parameters(folder).uri
    return MlflowClient(uri, uri)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store whose ranking is logged once."""
    folder = tmp_path_factory.mktemp("made")
    store = Store(folder)
    write_json(store.ranking, {})
    write_text(store.scores, "")
    write_text(store.reports / "index.html", "")
    update_recommended(ranking(), store, within_noise=False)
    track(folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Return the same store, copied to another folder."""
    return Path(shutil.copytree(made, tmp_path / "copied"))


def parents(folder: Path, name: str = DATA) -> list[Any]:
    client = client_of(folder)
    experiment = client.get_experiment_by_name(name)
    found = client.search_runs([experiment.experiment_id])
    return [run for run in found if "mlflow.parentRunId" not in run.data.tags]


def children(folder: Path) -> list[str]:
    client = client_of(folder)
    found = client.search_runs([client.get_experiment_by_name(DATA).experiment_id])
    return sorted(run.data.tags["model"] for run in found if "mlflow.parentRunId" in run.data.tags)


def test_a_failed_data_set_is_a_failed_run_once(made: Path) -> None:
    track(made)
    (run,) = parents(made, "broken_csv")
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == BROKEN
    assert "No model could be ranked on broken_csv" in run.data.tags["mlflow.note.content"]


def test_a_copied_store_writes_nothing_to_the_old_place(made: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = sorted(path.name for path in (made / "mlruns").rglob("*"))
    track(folder)
    assert sorted(path.name for path in (made / "mlruns").rglob("*")) == before
    (run,) = parents(folder)
    assert run.info.artifact_uri.startswith(folder.as_uri())
    assert len(children(folder)) == 2
    assert "it is renamed to 'flowers5 (files in " in caplog.text
    track(folder)
    assert len(parents(folder)) == 1


def test_a_store_that_moves_to_and_fro_keeps_one_experiment_per_place(folder: Path) -> None:
    other = folder.with_name("elsewhere")
    for _ in range(2):
        track(folder)
        folder.rename(other)
        track(other)
        other.rename(folder)
    names = [one.name for one in client_of(folder).search_experiments() if one.name.startswith(DATA)]
    assert len(names) == 3  # of the place of the fixture, too
    assert all(run.info.artifact_uri.startswith(other.as_uri()) for run in parents(folder))  # the last place


def test_whatever_was_deleted_in_mlflow_is_made_again(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    track(folder)
    client, expected = client_of(folder), children(folder)
    experiment = client.get_experiment_by_name(DATA).experiment_id
    client.delete_experiment(experiment)
    track(folder)
    assert client.get_experiment(experiment).lifecycle_stage == "active"
    assert "was deleted; it is restored" in caplog.text

    (child, *_) = [run for run in client.search_runs([experiment]) if "mlflow.parentRunId" in run.data.tags]
    client.delete_run(child.info.run_id)
    track(folder)
    assert children(folder) == expected

    for run in client.search_runs([experiment]):
        client.delete_run(run.info.run_id)
    track(folder)
    assert (len(parents(folder)), children(folder)) == (1, expected)

    first, alias = ranking().data_sets[0].rows[0].model, ("itm-flowers5", "recommended")
    deletions: list[Callable[[], object]] = [
        lambda: client.delete_registered_model_alias(*alias),
        lambda: client.delete_model_version(alias[0], client.get_model_version_by_alias(*alias).version),
        lambda: client.delete_registered_model(alias[0]),
        lambda: shutil.rmtree(folder / "mlruns"),
    ]
    for delete in deletions:
        delete()
        track(folder)
        assert client.get_model_version_by_alias(*alias).tags["model"] == first


def test_names_of_300_letters_are_tracked(folder: Path) -> None:
    name = "数" * 300
    result = ranking(name)
    data = replace(result.data_sets[0], rows=(replace(result.data_sets[0].rows[0], model="m" * 300),))
    update_recommended(replace(result, data_sets=(data,)), Store(folder), within_noise=False)
    track(folder, replace(result, data_sets=(data,)))
    (run,) = parents(folder, name)
    assert len(run.data.tags["mlflow.runName"]) < 250
    assert "ranking_table.json" in {file.path for file in client_of(folder).list_artifacts(run.info.run_id)}
    assert any("recommended" in model.aliases for model in client_of(folder).search_registered_models())


class _Forbidden(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(403)

    def log_message(self, *_: object) -> None:
        pass


def _write(text: bytes) -> Callable[[Path], str]:
    def spoil(database: Path) -> str:
        database.write_bytes(text)
        return f"sqlite:///{database}"

    return spoil


def _cut(database: Path) -> str:
    database.write_bytes(database.read_bytes()[:5000])
    return f"sqlite:///{database}"


def _age(database: Path) -> str:
    with sqlite3.connect(database) as connection:
        connection.execute("update alembic_version set version_num = 'ffffffffffff'")
    connection.close()
    return f"sqlite:///{database}"


def _folder(database: Path) -> str:
    database.unlink()
    database.mkdir()
    return f"sqlite:///{database}"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_write(b"hello" * 1000), "it is damaged, or no SQLite database; move the file away"),
        (_cut, "it is damaged, or no SQLite database"),
        (_age, "it was made by another version of MLflow; use that version, or back it up and run `mlflow db upgrade sqlite:"),
        (_folder, "it cannot be opened; allow reading and writing there"),
        (lambda _: "http://127.0.0.1:9", "it does not answer; start it, or correct track.uri"),
        (lambda _: "http://no.such.host.invalid", "there is no such host; correct track.uri"),
        (lambda _: "mongodb://somewhere/else", "MLflow does not support this kind of address"),
        (
            lambda database: f"sqlite:///{database.parent}/a?b/x.db",
            "contains '?', which the address of an SQLite database cannot",
        ),
    ],
    ids=["text", "cut", "version", "folder", "dead", "unknown host", "scheme", "question mark"],
)
def test_a_database_that_cannot_be_used_is_one_line(folder: Path, capfd, spoil, words) -> None:  # type: ignore[no-untyped-def]
    from tasks.track.client import get_experiment, open_client

    uri = spoil(folder / "mlflow.db")
    params = TrackParams(uri=uri, artifacts=f"{folder}/mlruns")
    with pytest.raises(StoreError) as caught, open_client(params) as client:
        get_experiment(client, DATA, params)
    (line,) = str(caught.value).splitlines()
    assert words in line
    assert uri.removeprefix("sqlite:///") in line
    assert "Traceback" not in capfd.readouterr().err
    assert not (folder / "a").exists()


def test_a_locked_database_and_a_server_that_refuses_are_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.track.problems import tracking_error

    connection = sqlite3.connect(folder / "mlflow.db", timeout=0)
    connection.execute("BEGIN EXCLUSIVE")
    other = sqlite3.connect(folder / "mlflow.db", timeout=0)
    with pytest.raises(sqlite3.OperationalError) as locked:
        other.execute("select * from runs")
    for one in (connection, other):
        one.close()
    assert "another process holds it locked" in tracking_error(locked.value, "sqlite:///mlflow.db")

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server = HTTPServer(("127.0.0.1", 0), _Forbidden)
    Thread(target=server.serve_forever, daemon=True).start()
    from tasks.track.client import open_client

    uri = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(StoreError, match="it refuses access; set MLFLOW_TRACKING"), open_client(TrackParams(uri=uri)) as client:
        client.get_experiment_by_name(DATA)
    server.shutdown()
    server.server_close()
