"""What a run may spend: it ranks what it has by then, says what is missing, and the next run goes on from there."""

from pathlib import Path

import pytest

from itm.core.params import Params
from itm.core.sections import LimitParams
from itm.core.yaml_records import parse
from itm.run import pipeline
from itm.run.limits import Budget
from itm.store.layout import Store

MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures", "test_byobnet.shapes"]


@pytest.fixture
def limited(zoo_file: Path, tmp_path: Path):
    """Return a function that ranks three models on one small data set within limits."""

    def rank(**limits: float):
        values = {
            "data": {"sets": ["made:shapes?images=40"]},
            "zoo": {"file": zoo_file, "models": MODELS},
            "score": {"names": ["itm", "knn"]},
            "limits": limits,
            "store": tmp_path / "store",
        }
        params = parse(values, Params, "test")
        return pipeline.run(params, Store(params.store)).data_sets[0].rows

    return rank


def test_time_that_is_over_lets_nothing_begin_but_what_is_stored_is_ranked(limited):
    """With no time at all the first run has only rows that say so, and after a whole run all is found and ranked."""
    nothing = limited(seconds=0)
    assert {row.status for row in nothing} == {"failed"}
    assert all(row.failures[0].step == "limits" and "limits.seconds (0)" in row.failures[0].reason for row in nothing)
    assert {row.status for row in limited()} == {"ranked"}
    assert {row.status for row in limited(seconds=0)} == {"ranked"}


def test_the_time_of_devices_counts_extractions_only(limited):
    """A budget that one extraction uses up lets one model through, and each later run one more."""
    first = limited(device_seconds=1e-6)
    assert [row.model for row in first if row.status == "ranked"] == [MODELS[0]]
    assert "limits.device_seconds" in first[1].failures[0].reason
    assert sum(row.status == "ranked" for row in limited(device_seconds=1e-6)) == 2
    assert sum(row.status == "ranked" for row in limited(device_seconds=1e-6)) == 3


def test_models_beyond_the_most_are_rows_too(limited):
    """Only the first two of the zoo are ranked, and the third says why it is not."""
    rows = limited(max_models=2)
    assert {row.model for row in rows if row.status == "ranked"} == set(MODELS[:2])
    (beyond,) = (row for row in rows if row.status == "failed")
    assert beyond.model == MODELS[2]
    assert "is beyond limits.max_models (2) of 3 models" in beyond.failures[0].reason


def test_no_limits_spend_nothing():
    """Where nothing is said, nothing is ever over."""
    assert Budget(LimitParams()).spent() == ""
