"""Other picks, costs, and the words of an answer."""

import pytest

from itm.core.selections import PredictedModel, SearchBudget, SearchState, Selection, TrainedRung
from itm.selection.answer import other_picks
from itm.selection.costs import corrected, grid_seconds
from itm.selection.evidence import validation_baseline
from itm.selection.policy import Cost
from itm.selection.text import answer_text, export_command, state_line

PICK = PredictedModel("pick", "w", 0.9, 0.85, 0.93, 0.7, gmacs=4.0, latency_ms=20.0)


def model(name: str, accuracy: float, latency: float | None, gmacs: float | None = 1.0) -> PredictedModel:
    return PredictedModel(name, "w", accuracy, accuracy - 0.05, accuracy + 0.05, 0.1, gmacs=gmacs, latency_ms=latency)


def picks(*rows: PredictedModel, pick: PredictedModel = PICK) -> dict[str, str]:
    return {own.model: own.role for own in other_picks((pick, *rows), pick)}


def test_a_more_accurate_a_smaller_and_a_faster_model_are_named():
    rows = model("better", 0.92, 40.0), model("half", 0.83, 9.0), model("half, worse", 0.8, 3.0), model("quick", 0.86, 12.0)
    assert picks(*rows) == {"better": "most accurate", "half": "smaller", "quick": "faster"}


def test_a_model_is_named_once():
    assert picks(model("small", 0.88, 5.0)) == {"small": "smaller"}


def test_nothing_is_named_where_the_pick_is_best_and_fastest():
    assert picks(model("slow", 0.8, 30.0), model("unknown", 0.8, None)) == {}


def test_without_latencies_gmacs_are_compared():
    pick = PredictedModel("pick", "w", 0.9, 0.85, 0.93, 0.7, gmacs=4.0)
    assert picks(model("small", 0.7, None, 1.5), model("unknown", 0.7, None, None), pick=pick) == {"small": "smaller"}


def test_costs_are_corrected_by_what_experiments_took():
    costs = {"a": Cost(2, 10), "b": Cost(4, 20), "c": Cost(1, 5)}
    rungs = [
        TrainedRung(0, "a", 1e-3, 0, 25, 0.5, 9.0),  # estimated: 2 + 0.25 * 10 = 4.5
        TrainedRung(0, "a", 1e-3, 0, 50, 0.5, 5.0),  # 2.5 more
        TrainedRung(0, "b", 1e-3, 0, 50, 0.5, 7.0),  # 4 + 10
    ]
    found = corrected(costs, rungs, steps=100)
    assert found["a"] == Cost(4, 20)
    assert found["b"] == Cost(2, 10)
    assert found["c"].run == pytest.approx(5 * 21 / 21)
    assert grid_seconds(found, rates=3) == pytest.approx(64 + 32 + 16)
    failed = TrainedRung(0, "c", 1e-3, 0, 0, None, 0.0)
    assert corrected(costs, [*rungs, failed], 100) == found
    assert corrected(costs, [], 100) == corrected(costs, [failed], 100) == costs


def test_the_baseline_is_the_commonest_class():
    assert validation_baseline({"cat": 30, "dog": 10}) == 0.75


STATE = SearchState(612.0, "vit", 0.9234, 0.881, 0.95, 0.63, 0.011, 0.001, 5)
SELECTION = Selection(
    data="cells",
    source="folder:cells",
    data_hash="h",
    protocol="full",
    classes=4,
    validation_images=60,
    budget=SearchBudget(seconds=600),
    spent=612.0,
    grid_seconds=4000.0,
    stop="budget",
    why="a budget of 10 min is used up",
    pick="pick",
    models=(PICK,),
    weights_file="w.safetensors",
    test=0.9,
    test_images=60,
)


def test_a_state_is_one_line_with_what_a_minute_buys():
    assert state_line(STATE) == (
        "10 min: vit 92.3 [88.1, 95.0] %, best with probability 63 %, expected regret 1.1 points; "
        "another minute gains about 1.10"
    )


def test_the_answer_says_what_to_expect_and_why_the_search_ended():
    assert answer_text(SELECTION) == (
        "For cells, fine-tune pick: expected accuracy 90.0 [85.0, 93.0] %, best with probability 70 %. It reaches 90.0 % on 60 "
        "test images. The search ended: a budget of 10 min is used up."
    )
    assert export_command(SELECTION, "cells-1") == "itm export cells --ranking cells-1 --to pick"
