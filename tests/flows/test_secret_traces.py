"""Where a ranking's flow leaves its traces, no secret is: files, databases, logs, the page and Prefect's own records."""

import json
import logging
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from itm.core import secrets
from itm.core.params import Params
from itm.core.yaml_records import parse
from itm.store.layout import Store

pytestmark = [pytest.mark.slow, pytest.mark.servers]


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with nothing remembered, and leave nothing to the tests of others."""
    monkeypatch.setattr(secrets, "_remembered", set())


def _parameters(root: Path, store: Path, uri: str) -> Params:
    values = {
        "data": {"sets": ["synthetic:shapes?images=40"]},
        "zoo": {"file": root / "data" / "zoo" / "zoo.yaml", "models": ["test_resnet.drawn_long"]},
        "score": {"names": ["knn"], "rank_by": "knn"},
        "track": {"uri": uri},
        "store": store,
    }
    return parse(values, Params, "test")


def _asked(server: dict[str, str], what: str, **body: Any) -> list[dict[str, Any]]:
    """Return what Prefect's server has on record."""
    request = Request(
        f"{server['PREFECT_API_URL']}/{what}/filter", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(request) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def _recorded(server: dict[str, str], failed: bool) -> str:
    """Return all that the server knows of the newest flow run: its parameters and states, its tasks, and its logs."""
    (flow,) = _asked(server, "flow_runs", sort="START_TIME_DESC", limit=1)
    about = {"flow_runs": {"id": {"any_": [flow["id"]]}}}
    tasks = _asked(server, "task_runs", **about)
    assert "track" in {task["name"].partition("-")[0] for task in tasks}
    logs: list[dict[str, Any]] = []
    for _ in range(150 if failed else 0):  # they are sent in batches, a little later
        if logs := _asked(server, "logs", logs={"flow_run_id": {"any_": [flow["id"]]}}):
            break
        time.sleep(0.2)
    assert bool(logs) is failed
    return json.dumps([flow, tasks, logs], ensure_ascii=False)


def _written(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize(
    ("stands_for", "secret"),
    [
        ("sqlite:///{folder}/s3cret-place/mlflow.db", "s3cret-place"),
        ("postgresql://user:s3cret-w%40rd@127.0.0.1:1/runs", "s3cret-w"),
        ("postgresql://user:s3cret-w@rd@127.0.0.1:1/runs", "s3cret-w"),
        ("http://user:s3cret-w%40rd@127.0.0.1:1", "s3cret-w"),
        ("s3cret-scheme://127.0.0.1/runs", "s3cret-scheme"),
    ],
)
def test_a_tracking_address_leaves_no_trace(
    root: Path,
    tmp_path: Path,
    prefect_server: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    stands_for: str,
    secret: str,
) -> None:
    from flows.rank import run

    address = stands_for.format(folder=tmp_path)
    monkeypatch.setenv("ITM_TRACKING", address)
    store = Store(tmp_path / "store")
    with caplog.at_level(logging.INFO):
        _, problem = run(_parameters(root, store.root, "$ITM_TRACKING"), store)
    answers = address.startswith("sqlite")
    assert bool(problem) is not answers
    database = tmp_path / "s3cret-place" / "mlflow.db"
    assert database.exists() is answers
    recorded, page = _recorded(prefect_server, failed=not answers), (store.reports / "index.html").read_text()
    printed = "".join(capfd.readouterr())
    assert "$ITM_TRACKING" in recorded
    for text in (problem, caplog.text, printed, recorded, page):
        assert secret not in text
        assert "w%40rd" not in text
        assert "w@rd" not in text
    assert secret.encode() not in _written(store.root)
    assert not answers or secret.encode() not in database.read_bytes()


def test_a_secret_block_of_prefect_holds_an_address(root: Path, tmp_path: Path, prefect_server: dict[str, str]) -> None:
    from prefect.blocks.system import Secret

    from flows.rank import run

    database = tmp_path / "s3cret-place" / "mlflow.db"
    Secret(value=f"sqlite:///{database}").save("itm-tracking", overwrite=True)
    store = Store(tmp_path / "store")
    assert run(_parameters(root, store.root, "secret:itm-tracking"), store)[1] == ""
    assert database.exists()
    recorded = _recorded(prefect_server, failed=False)
    assert "secret:itm-tracking" in recorded
    assert "s3cret-place" not in recorded
    assert b"s3cret-place" not in _written(store.root)
    assert "no Secret 'nowhere'" in run(_parameters(root, store.root, "secret:nowhere"), store)[1]
