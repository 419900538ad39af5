"""The summary of a run counts everything that the user lost, in correct English."""

from dataclasses import replace
from pathlib import Path

from itm.core.types import DataRef, Failure, ModelRef, Outcome, TargetSpec
from itm.run.plan import LIMITS, Plan
from itm.run.work import counts, work


def data(name: str) -> DataRef:
    return DataRef(name, name, Path(name), "h", TargetSpec(), 9)


def failure(step: str) -> Failure:
    return Failure("", "broken", step, "gone")


ONE = Plan((data("a"),), (ModelRef("m"),), ((ModelRef("m"), data("a")),), ())
FAILED = Outcome("a", "m", failures=(Failure("a", "m", "extract", "no memory"),))


def test_nothing_lost_is_said() -> None:
    assert counts(ONE, [Outcome("a", "m")]).endswith("extracted 0 pairs (0 cached), computed 0 scores (0 cached), no failures")


def test_models_that_cannot_be_loaded_lose_a_pair_per_data_set() -> None:
    planned = replace(
        ONE, models=(), pairs=(), data_sets=(data("a"), data("b")), failed_models=(failure("zoo"), failure("zoo"))
    )
    assert work(planned, []).failed == 4
    assert counts(planned, []).endswith("4 of 4 pairs with failures, because 2 models cannot be used")


def test_data_sets_that_cannot_be_read_lose_a_pair_per_model() -> None:
    planned = replace(ONE, failed_data=(Failure("b", "", "ingest", "gone"),), failed_models=(failure("zoo"),))
    said = counts(planned, [FAILED])
    assert said.endswith("4 of 4 pairs with failures, because 1 model and 1 data set cannot be used")


def test_a_pair_that_fails_is_one_pair() -> None:
    assert counts(ONE, [FAILED]).endswith("1 of 1 pair with failures")


def test_models_beyond_a_limit_are_not_lost() -> None:
    planned = replace(ONE, failed_models=(failure(LIMITS),))
    assert work(planned, [Outcome("a", "m")]).failed == 0
