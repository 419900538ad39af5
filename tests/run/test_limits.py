"""The limits of a run hold for every stage: it keeps what it has, says what is missing, and the next run resumes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from itm.core.params import LimitParams, Params
from itm.core.types import Outcome
from itm.core.yaml_records import parse
from itm.finetuning import pairs
from itm.run import pipeline
from itm.run.engine import Budget, execute
from itm.run.executors import Inline
from itm.run.plan import plan
from itm.run.stages import EXTRACT
from itm.store.layout import Store

pytestmark = pytest.mark.slow

MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures", "test_byobnet.shapes"]

Limited = Callable[..., Any]


@pytest.fixture
def params(zoo_file: Path, tmp_path: Path) -> Callable[..., Params]:
    """Return the parameters of three models on one small data set within limits."""

    def make(**limits: float) -> Params:
        values = {
            "data": {"sets": ["synthetic:shapes?images=40"]},
            "zoo": {"file": zoo_file, "models": MODELS},
            "score": {"names": ["itm", "knn"]},
            "finetune": {"protocols": ["head"], "seeds": 1},
            "limits": limits,
            "store": tmp_path / "store",
        }
        return parse(values, Params, "test")

    return make


@pytest.fixture
def limited(params) -> Limited:
    """Return a function that ranks within limits, and returns the rows of the ranking."""

    def rank(**limits: float) -> Any:
        chosen = params(**limits)
        return pipeline.run(chosen, Store(chosen.store), Inline()).data_sets[0].rows

    return rank


@pytest.fixture
def finetuned(params) -> Limited:
    """Return a function that fine-tunes within limits."""

    def finetune(**limits: float) -> tuple[Outcome, ...]:
        chosen = params(**limits)
        return pairs.run(chosen, Store(chosen.store), runner=Inline())[0]

    return finetune


def test_without_time_only_stored_results_are_ranked(limited):
    nothing = limited(seconds=0)
    assert {row.status for row in nothing} == {"failed"}
    assert all(row.failures[0].step == "limits" and "limits.seconds (0)" in row.failures[0].reason for row in nothing)
    assert {row.status for row in limited()} == {"ranked"}
    assert {row.status for row in limited(seconds=0)} == {"ranked"}


def test_device_seconds_count_extractions_only(limited):
    first = limited(device_seconds=1e-6)
    assert [row.model for row in first if row.status == "ranked"] == [MODELS[0]]
    assert "limits.device_seconds" in first[1].failures[0].reason
    assert sum(row.status == "ranked" for row in limited(device_seconds=1e-6)) == 2
    assert sum(row.status == "ranked" for row in limited(device_seconds=1e-6)) == 3


def test_models_beyond_the_most_are_rows_too(limited):
    rows = limited(max_models=2)
    assert {row.model for row in rows if row.status == "ranked"} == set(MODELS[:2])
    (beyond,) = (row for row in rows if row.status == "failed")
    assert beyond.model == MODELS[2]
    assert "is beyond limits.max_models (2) of 3 models" in beyond.failures[0].reason


def test_limits_hold_for_extraction_alone(params):
    def extracted(**limits: float) -> list[Outcome]:
        chosen = params(**limits)
        store = Store(chosen.store)
        return execute(plan(chosen, store).through(EXTRACT), Inline(), store, chosen)

    assert all(outcome.features is None and outcome.failures[0].step == "limits" for outcome in extracted(seconds=0))
    for count in (1, 2, 3, 3):
        assert sum(outcome.features is not None for outcome in extracted(device_seconds=1e-6)) == count
    assert all(outcome.features and outcome.features.cached for outcome in extracted(seconds=0))
    assert [outcome.model for outcome in extracted(max_models=1)] == MODELS[:1]


@pytest.mark.servers
def test_limits_hold_for_fine_tuning(finetuned):
    assert all(pair.runs == () and pair.failures[0].step == "limits" for pair in finetuned(seconds=0))
    for count in (1, 2, 3):
        found = finetuned(device_seconds=1e-6)
        assert sum(bool(pair.runs) for pair in found) == count
        assert sum("limits.device_seconds" in pair.reason for pair in found) == 3 - count
    assert all(run.cached for pair in finetuned(seconds=0) for run in pair.runs)
    beyond = finetuned(max_models=2)
    assert [pair.model for pair in beyond if pair.failures] == MODELS[2:]


def test_no_limits_spend_nothing():
    assert Budget(LimitParams()).spent() == ""
