"""The switches of ITM: each has an effect, and impossible values are errors with name and value."""

import re
from typing import Any

import numpy as np
import pytest

from itm.core.errors import ParamsError, ScoreError
from itm.scores import evaluate, make
from itm.scores.itm.options import ItmOptions

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(6), [150, 110, 90, 70, 50, 30])
FEATURES = RNG.normal(size=(500, 10)) + 0.8 * RNG.normal(size=(6, 10))[LABELS]
IDS = [f"{row:03d}" for row in RNG.permutation(500)]
FAST = {"steps": 60, "evaluate_every": 20, "schedule_steps": 100}

# An option, another value of it, and the options beside which it counts
OTHERWISE: list[tuple[str, Any, dict[str, Any]]] = [
    ("eta", 1.0, {"recursions": 50}),
    ("eta", 0.0, {}),
    ("recursions", 50, {}),
    ("inner_loss", "cross_entropy", {"recursions": 50}),
    ("inner_loss", "mae", {"recursions": 50}),
    ("mapping_bias", True, {"recursions": 50}),
    ("centres", "random", {"recursions": 50}),
    ("centres", "principal_axes", {"recursions": 50}),
    ("centre_dimensions", 9, {"centres": "random"}),
    ("centre_dimensions", 9, {"centres": "principal_axes"}),
    ("centre_offset", True, {"recursions": 50}),
    ("hidden_blocks", 1, {}),
    ("hidden_blocks", 2, {"hidden_blocks": 1}),
    ("batch_size", 64, {}),
    ("steps", 40, {}),
    ("schedule_steps", 60, {}),
    ("evaluate_every", 60, {}),
    ("learning_rate", 2e-3, {}),
    ("weight_decay", 5.0, {}),
    ("evaluation", "labelled", {"eta": 1.0, "centres": "random", "centre_offset": True}),
    ("pick", "last", {}),
    ("metric", "balanced_accuracy", {}),
]


def score(**options: Any) -> tuple[float, ...]:
    """Return the values per fold under some options."""
    return evaluate("itm", FEATURES, LABELS, ids=IDS, options=FAST | options).fold_values


@pytest.mark.parametrize(("option", "value", "beside"), OTHERWISE, ids=[f"{name}={value}" for name, value, _ in OTHERWISE])
def test_every_option_counts(option: str, value: Any, beside: dict[str, Any]) -> None:
    assert score(**beside | {option: value}) != score(**beside)


def test_the_best_evaluation_is_picked_by_the_metric() -> None:
    options = [FAST | {"evaluate_every": 5, "metric": metric} for metric in ("accuracy", "balanced_accuracy")]
    plain, balanced = (evaluate("itm", FEATURES, LABELS, ids=IDS, options=one) for one in options)
    assert balanced.details["balanced_accuracy"] > plain.details["balanced_accuracy"]
    assert balanced.details["accuracy"] < plain.details["accuracy"]


def test_every_option_and_choice_is_tried() -> None:
    assert {option for option, _, _ in OTHERWISE} == set(ItmOptions.model_fields)
    choices = {"inner_loss": 3, "centres": 3, "evaluation": 2, "pick": 2, "metric": 2}
    for option, count in choices.items():
        assert len({value for name, value, _ in OTHERWISE if name == option} | {getattr(ItmOptions(), option)}) == count


def test_the_default_is_the_published_setting() -> None:
    assert ItmOptions() == ItmOptions(
        eta=0.5,
        recursions=1,
        inner_loss="mse",
        mapping_bias=False,
        centres="one_hot",
        centre_dimensions=0,
        centre_offset=False,
        hidden_blocks=0,
        batch_size=256,
        steps=500,
        schedule_steps=10_000,
        evaluate_every=100,
        learning_rate=5e-3,
        weight_decay=1e-2,
        evaluation="transferred",
        pick="best",
        metric="auto",
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"eta": 1.5}, "eta: must be less than or equal to 1 (got 1.5)"),
        ({"eta": -0.1}, "eta: must be greater than or equal to 0 (got -0.1)"),
        ({"eta": float("nan")}, "eta: must be"),
        ({"recursions": 0}, "recursions: must be greater than or equal to 1 (got 0)"),
        ({"batch_size": 0}, "batch_size: must be greater than or equal to 1 (got 0)"),
        ({"steps": 0}, "steps: must be greater than or equal to 1 (got 0)"),
        ({"evaluate_every": 0}, "evaluate_every: must be greater than or equal to 1 (got 0)"),
        ({"schedule_steps": -5}, "schedule_steps: must be greater than or equal to 1 (got -5)"),
        (
            {"centre_dimensions": -1, "centres": "random"},
            "centre_dimensions: must be greater than or equal to 0 (got -1)",
        ),
        ({"hidden_blocks": -1}, "hidden_blocks: must be greater than or equal to 0 (got -1)"),
        ({"weight_decay": -0.01}, "weight_decay: must be greater than or equal to 0 (got -0.01)"),
        ({"weight_decay": float("inf")}, "weight_decay: must be a finite number (got inf)"),
        ({"learning_rate": 0.0}, "learning_rate: must be greater than 0 (got 0.0)"),
        ({"learning_rate": float("inf")}, "learning_rate: must be a finite number (got inf)"),
        ({"learning_rate": float("nan")}, "learning_rate: must be"),
        ({"steps": 50}, "evaluate_every <= steps <= schedule_steps is needed, not 100, 50, 10000"),
        ({"evaluate_every": 501}, "evaluate_every <= steps <= schedule_steps is needed, not 501, 500, 10000"),
        ({"schedule_steps": 499}, "evaluate_every <= steps <= schedule_steps is needed, not 100, 500, 499"),
        ({"inner_loss": "huber"}, "inner_loss: must be 'mse', 'cross_entropy' or 'mae' (got 'huber')"),
        ({"centres": "corners"}, "centres: must be 'one_hot', 'random' or 'principal_axes' (got 'corners')"),
        ({"evaluation": "peeking"}, "evaluation: must be 'transferred' or 'labelled' (got 'peeking')"),
        ({"pick": "worst"}, "pick: must be 'best' or 'last' (got 'worst')"),
        ({"metric": "f1"}, "metric: must be one of 'auto', 'accuracy', 'balanced_accuracy', 'patch_accuracy', "),
        ({"centre_dimensions": 64}, "centre_dimensions is 64, but one_hot centres have as many as classes"),
        (
            {"inner_loss": "cross_entropy", "centres": "random"},
            "inner_loss cross_entropy needs centres that are distributions over classes, not 'random'; use one_hot",
        ),
        (
            {"inner_loss": "cross_entropy", "centre_offset": True},
            "inner_loss cross_entropy needs centres that are distributions over classes, not 'one_hot' with an offset",
        ),
        ({"evaluation": "labelled", "recursions": 100}, "batches of 256 rows at eta * recursions / rows = 0.195"),
        ({"evaluation": "labelled", "batch_size": 49}, "batches of 49 rows at eta * recursions / rows = 0.0102"),
        ({"evaluation": "labelled", "recursions": 6}, "use 'transferred'"),
        ({"recursion": 2}, "unknown key 'recursion'; did you mean 'recursions'"),
        ({"recursions": 2.0}, "recursions: must be a whole number (got 2.0)"),
        ({"mapping_bias": 1}, "mapping_bias: must be true or false (got 1)"),
        ({"hidden_blocks": True}, "hidden_blocks: must be a whole number (got True)"),
        ({"eta": "half"}, "eta: must be a valid number (got 'half')"),
        ({"pick": None}, "pick: must be 'best' or 'last' (got None)"),
    ],
)
def test_impossible_options_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamsError, match=f"score 'itm' options: .*{re.escape(said)}"):
        make("itm", options)


@pytest.mark.parametrize(
    "options",
    [
        {"eta": 0},
        {"eta": 1, "recursions": 1000},
        {"evaluation": "labelled", "batch_size": 50},
        {"evaluation": "labelled", "recursions": 5},
        {"evaluation": "labelled", "recursions": 1000, "eta": 0.0},
        {"evaluate_every": 500, "schedule_steps": 500},
        {"centres": "random", "centre_dimensions": 1},
        {"weight_decay": 0, "learning_rate": 1},
    ],
)
def test_options_at_the_edge_are_taken(options: dict[str, Any]) -> None:
    chosen = make("itm", options).options
    assert {name: getattr(chosen, name) for name in options} == options


@pytest.mark.parametrize("dimensions", [1, 5])
def test_principal_axes_need_as_many_dimensions_as_classes(dimensions: int) -> None:
    with pytest.raises(
        ScoreError, match=f"itm: 6 classes need as many principal axes, but centre_dimensions is {dimensions}; "
    ):
        score(centres="principal_axes", centre_dimensions=dimensions)
    assert len(score(centres="principal_axes", centre_dimensions=6)) == 5
    assert np.isfinite(score(centres="random", centre_dimensions=dimensions)).all()
