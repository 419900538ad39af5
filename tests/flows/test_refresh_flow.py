"""Refreshes that follow each other: what is news, what is within noise, and who is told."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from click.testing import Result

from itm.core.params import find_params
from itm.ranking.recommend import read_recommended
from itm.refresh.history import read_history
from itm.store.layout import Store

pytestmark = pytest.mark.slow

NOISE, STROKES, RESNET = "test_convnext.noise", "test_mambaout.strokes", "test_resnet.drawn_long"
DATA = "shapes-images200"


class Refreshed:
    """A store that is refreshed several times, with given models."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.params = root, folder / "params.yaml"
        self.store = Store(folder / "store")

    def write(self, *models: str) -> None:
        """Write the parameters."""
        values = {
            "data": {"sets": ["synthetic:shapes?images=200"]},
            "zoo": {"file": str(self.root / "data" / "zoo" / "zoo.yaml"), "models": [*models]},
            "score": {"names": ["knn"], "rank_by": "knn"},  # near ties by itm differ with the kind of machine
            "store": str(self.store.root),
            "refresh": {"version": False},
        }
        self.params.write_text(yaml.safe_dump(values))

    def refresh(self, *models: str, within_noise: bool = False) -> Any:
        """Refresh through the flow and return what changed on the data set."""
        from flows.refresh import refresh_flow

        self.write(*models)
        _, (change,) = refresh_flow(str(self.params), within_noise)
        return change

    def alias(self) -> str:
        """Return the model that MLflow recommends."""
        from mlflow import MlflowClient

        uri = find_params(self.params).tracking.uri
        return str(MlflowClient(uri, uri).get_model_version_by_alias(f"itm-{DATA}", "recommended").tags["model"])


@pytest.mark.servers
def test_only_what_is_better_beyond_noise_is_news(root: Path, tmp_path: Path, prefect_server: dict[str, str]) -> None:
    refreshed = Refreshed(root, tmp_path)
    first = refreshed.refresh(STROKES)
    assert (first.verdict, first.is_news, refreshed.alias()) == ("first ranking", False, STROKES)

    tied = refreshed.refresh(STROKES, NOISE)
    assert (tied.verdict, tied.winner, tied.new, tied.is_news) == ("within noise", NOISE, (NOISE,), False)
    assert tied.lead.low <= 0 < tied.lead.high
    assert refreshed.alias() == read_recommended(refreshed.store)[DATA] == STROKES

    asked = refreshed.refresh(STROKES, NOISE, within_noise=True)
    assert (asked.recommended, asked.is_news, refreshed.alias()) == (NOISE, True, NOISE)

    better = refreshed.refresh(STROKES, NOISE, RESNET)
    assert (better.verdict, better.winner, better.is_news, refreshed.alias()) == ("winner changed", RESNET, True, RESNET)
    assert better.lead.low > 0

    assert [refresh.number for refresh in read_history(refreshed.store)] == [1, 2, 3, 4]
    assert [event["payload"]["recommended"] for event in _events(prefect_server["PREFECT_API_URL"], 2)] == [NOISE, RESNET]
    (artifact,) = _latest_artifact(prefect_server["PREFECT_API_URL"])
    page = refreshed.store.refresh(4) / "changes.html"
    assert RESNET in artifact["data"]
    assert RESNET in page.read_text()


@pytest.mark.usefixtures("prefect_server")
def test_a_refresh_without_changes_is_one_line(
    root: Path, tmp_path: Path, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshed = Refreshed(root, tmp_path)
    monkeypatch.chdir(tmp_path)
    refreshed.write("test_resnet.drawn_short")
    assert "first ranking" in call("refresh").stdout
    assert call("refresh").stdout.startswith("Nothing changed since refresh 1 (")
    assert [refresh.number for refresh in read_history(refreshed.store)] == [1]
    call("refresh", "--log")
    assert [refresh.number for refresh in read_history(refreshed.store)] == [1, 2]
    assert call("refresh").stdout.startswith("Nothing changed since refresh 2 (")
    refreshed.write("test_resnet.drawn_short", RESNET)
    assert RESNET in call("refresh").stdout
    assert [refresh.number for refresh in read_history(refreshed.store)] == [1, 2, 3]


def _events(api: str, expected: int) -> list[dict[str, Any]]:
    """Return the events of this kind in their order, once as many as expected have arrived: they travel on their own."""
    asked = {"filter": {"event": {"name": ["itm.recommendation.changed"]}, "order": "ASC"}}
    for _ in range(60):
        found: list[dict[str, Any]] = httpx.post(f"{api}/events/filter", json=asked).raise_for_status().json()["events"]
        if len(found) >= expected:
            return found
        time.sleep(0.5)
    return found


def _latest_artifact(api: str) -> list[dict[str, Any]]:
    asked = {"artifacts": {"key": {"any_": ["ranking-changes"]}}}
    found: list[dict[str, Any]] = httpx.post(f"{api}/artifacts/latest/filter", json=asked).raise_for_status().json()
    return found
