"""The speed of ranked models: measured once after the run, and never a reason to lose a ranking."""

from collections.abc import Callable

import pytest

from itm.core.params import Params
from itm.core.rankings import DataRanking, RankedModel
from itm.core.yaml_records import parse
from itm.features.speed import Speedometer
from itm.run import find_speeds, pipeline
from itm.run.engine import Budget
from itm.store.layout import Store

pytestmark = pytest.mark.slow

MODELS = ["test_resnet.drawn_short", "test_vit.drawn_long"]


def params(**sections: dict[str, object]) -> Params:
    values: dict[str, object] = {
        "data": {"sets": ["synthetic:shapes?images=60"]},
        "zoo": {"models": MODELS},
        "score": {"names": ["knn"], "rank_by": "knn"},
        "runner": {"kind": "inline"},
    }
    return parse(values | sections, Params, "test")


def rows(store: Store, **sections: dict[str, object]) -> tuple[RankedModel, ...]:
    data: DataRanking
    (data,) = pipeline.run(params(**sections), store).data_sets
    return data.rows


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the models that are measured from now on."""
    names: list[str] = []
    measure = Speedometer.measure

    def noted(self: Speedometer, model: object) -> object:
        names.append(model.name)  # type: ignore[attr-defined]
        return measure(self, model)  # type: ignore[arg-type]

    monkeypatch.setattr(Speedometer, "measure", noted)
    return names


def test_each_model_is_measured_once(store: Store, measured: list[str]) -> None:
    first = rows(store)
    assert all(row.speed for row in first)
    assert sorted(measured) == MODELS
    again = rows(store, extract={"resume": "always"})
    assert [row.speed for row in again] == [row.speed for row in first]
    assert len(measured) == 2


def test_a_ranking_from_before_there_were_speeds_gets_them(store: Store, measured: list[str]) -> None:
    rows(store)
    for path in (store.root / "cache" / "speeds").iterdir():
        path.unlink()
    measured.clear()
    assert all(row.speed for row in rows(store))
    assert sorted(measured) == MODELS


def test_nothing_is_measured_where_nothing_may_be_computed(store: Store, measured: list[str]) -> None:
    before = rows(store)
    for path in (store.root / "cache" / "speeds").iterdir():
        path.unlink()
    measured.clear()
    found = rows(store, extract={"resume": "only-cache"})
    assert [row.speed for row in found] == [None, None]
    assert [row.model for row in found] == [row.model for row in before]
    assert not measured


def test_nothing_is_measured_after_the_time_is_used_up(store: Store, measured: list[str]) -> None:
    rows(store, limits={"device_seconds": 1e-6})
    assert not measured


def test_measuring_ends_when_the_time_of_the_run_is_used_up(
    store: Store, measured: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows(store)
    for path in (store.root / "cache" / "speeds").iterdir():
        path.unlink()
    measured.clear()
    monkeypatch.setattr(Budget, "spent", lambda *_, **__: "no time" if measured else "")
    with caplog.at_level("INFO", logger="itm"):
        found = rows(store)
    assert sorted(row.speed is None for row in found) == [False, True]
    assert "the speed of 1 model is not known: no time" in caplog.text


def test_a_lock_that_cannot_be_made_loses_no_ranking(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def locked(*_: object) -> object:
        raise OSError("no lock")

    monkeypatch.setattr(find_speeds, "leased", locked)
    assert [(row.status, row.speed) for row in rows(store)] == [("ranked", None)] * 2
    assert "no speed can be measured (OSError: no lock)" in caplog.text


def test_a_model_that_cannot_be_measured_is_ranked(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, break_measuring: Callable[..., object]
) -> None:
    monkeypatch.setattr(Speedometer, "measure", break_measuring)
    assert [(row.status, row.speed) for row in rows(store)] == [("ranked", None)] * 2
    assert "test_vit.drawn_long: its speed cannot be measured (KeyError: 'no such layer')" in caplog.text


@pytest.fixture
def break_measuring() -> Callable[..., object]:
    def broken(*_: object) -> object:
        raise KeyError("no such layer")

    return broken
