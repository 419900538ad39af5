"""The switches of ITM: each does something, and what makes no sense is refused with its name and value."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from itm.core.errors import ParamsError, ScoreError
from itm.scores import check_options, evaluate
from itm.scores.itm.options import ItmOptions
from itm.scores.itm.score import ITM

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(6), [150, 110, 90, 70, 50, 30])
FEATURES = RNG.normal(size=(500, 10)) + 0.8 * RNG.normal(size=(6, 10))[LABELS]
IDS = [f"{row:03d}" for row in RNG.permutation(500)]
FAST = {"steps": 60, "judge_every": 20, "schedule_steps": 100}

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
    ("judge_every", 60, {}),
    ("learning_rate", 2e-3, {}),
    ("weight_decay", 5.0, {}),
    ("evaluation", "labelled", {"eta": 1.0, "centres": "random", "centre_offset": True}),
    ("pick", "last", {}),
    ("metric", "balanced_accuracy", {}),
]


def score(**options: Any) -> tuple[float, ...]:
    """Return the draws under some options."""
    return evaluate("itm", FEATURES, LABELS, ids=IDS, options=FAST | options).draws


@pytest.mark.parametrize(("option", "value", "beside"), OTHERWISE, ids=[f"{name}={value}" for name, value, _ in OTHERWISE])
def test_every_option_counts(option: str, value: Any, beside: dict[str, Any]) -> None:
    """Another value of an option gives other draws than the one it stands for, so that no switch is without a wire."""
    assert score(**beside | {option: value}) != score(**beside)


def test_the_best_is_picked_by_the_metric() -> None:
    """The judgement of best accuracy is not that of best balanced accuracy, and each metric takes its own."""
    options = [FAST | {"judge_every": 5, "metric": metric} for metric in ("accuracy", "balanced_accuracy")]
    plain, balanced = (evaluate("itm", FEATURES, LABELS, ids=IDS, options=one) for one in options)
    assert balanced.details["balanced_accuracy"] > plain.details["balanced_accuracy"]
    assert balanced.details["accuracy"] < plain.details["accuracy"]


def test_no_option_is_forgotten() -> None:
    """The options that are tried are all there are, with every word that an option knows."""
    assert {option for option, _, _ in OTHERWISE} == {field.name for field in fields(ItmOptions)}
    words = {"inner_loss": 3, "centres": 3, "evaluation": 2, "pick": 2, "metric": 2}
    for option, count in words.items():
        assert len({value for name, value, _ in OTHERWISE if name == option} | {getattr(ITM.options, option)}) == count


def test_the_default_is_the_published_setting() -> None:
    """The setting of the paper, read without a look at held-out labels."""
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
        judge_every=100,
        learning_rate=5e-3,
        weight_decay=1e-2,
        evaluation="transferred",
        pick="best",
        metric="accuracy",
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"eta": 1.5}, "eta is 1.5"),
        ({"eta": -0.1}, "eta is -0.1"),
        ({"eta": float("nan")}, "eta is nan"),
        ({"recursions": 0}, "recursions is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"judge_every": 0}, "judge_every is 0"),
        ({"schedule_steps": -5}, "schedule_steps is -5"),
        ({"centre_dimensions": -1, "centres": "random"}, "centre_dimensions is -1"),
        ({"hidden_blocks": -1}, "hidden_blocks is -1"),
        ({"weight_decay": -0.01}, "weight_decay is -0.01"),
        ({"weight_decay": float("inf")}, "weight_decay is inf"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"steps": 50}, "judge_every <= steps <= schedule_steps is needed, not 100, 50, 10000"),
        ({"judge_every": 501}, "judge_every <= steps <= schedule_steps is needed, not 501, 500, 10000"),
        ({"schedule_steps": 499}, "judge_every <= steps <= schedule_steps is needed, not 100, 500, 499"),
        ({"inner_loss": "huber"}, "inner_loss is 'huber'; it is 'mse' or 'cross_entropy' or 'mae'"),
        ({"centres": "corners"}, "centres is 'corners'; it is 'one_hot' or 'random' or 'principal_axes'"),
        ({"evaluation": "peeking"}, "evaluation is 'peeking'; it is 'transferred' or 'labelled'"),
        ({"pick": "worst"}, "pick is 'worst'; it is 'best' or 'last'"),
        ({"metric": "f1"}, "metric is 'f1'; it is 'accuracy' or 'balanced_accuracy'"),
        ({"centre_dimensions": 64}, "centre_dimensions is 64, but one_hot centres have as many as classes"),
        ({"inner_loss": "cross_entropy", "centres": "random"}, "inner_loss cross_entropy needs .* not 'random'; use one_hot"),
        (
            {"inner_loss": "cross_entropy", "centre_offset": True},
            "inner_loss cross_entropy needs .* not 'one_hot' with an offset",
        ),
        ({"evaluation": "labelled", "recursions": 100}, "batches of 256 rows at eta . recursions / rows = 0.195"),
        ({"evaluation": "labelled", "batch_size": 49}, "batches of 49 rows at eta . recursions / rows = 0.0102"),
        ({"evaluation": "labelled", "recursions": 6}, "use 'transferred'"),
        ({"recursion": 2}, "no option 'recursion'; did you mean 'recursions'"),
        ({"recursions": 2.0}, "option recursions is 2.0; a value of type int"),
        ({"mapping_bias": 1}, "option mapping_bias is 1; a value of type bool"),
        ({"hidden_blocks": True}, "option hidden_blocks is True; a value of type int"),
        ({"eta": "half"}, "option eta is 'half'; a value of type float"),
        ({"pick": None}, "option pick is None; a value of type str"),
    ],
)
def test_impossible_options_are_named(options: dict[str, Any], said: str) -> None:
    """An option that is unknown, of the wrong type, out of range or at odds with another is an error that names it."""
    with pytest.raises(ParamsError, match=said):
        check_options("itm", options)


@pytest.mark.parametrize(
    "options",
    [
        {"eta": 0},
        {"eta": 1, "recursions": 1000},
        {"evaluation": "labelled", "batch_size": 50},
        {"evaluation": "labelled", "recursions": 5},
        {"evaluation": "labelled", "recursions": 1000, "eta": 0.0},
        {"judge_every": 500, "schedule_steps": 500},
        {"centres": "random", "centre_dimensions": 1},
        {"weight_decay": 0, "learning_rate": 1},
    ],
)
def test_options_at_the_edge_are_taken(options: dict[str, Any]) -> None:
    """What is just within range is no error, and a whole number will do for a fraction."""
    chosen = check_options("itm", options)
    assert {name: getattr(chosen, name) for name in options} == options


@pytest.mark.parametrize("dimensions", [1, 5])
def test_principal_axes_need_as_many_dimensions_as_classes(dimensions: int) -> None:
    """Fewer dimensions than classes hold fewer axes, and the error tells both numbers; random centres do with them."""
    with pytest.raises(
        ScoreError, match=f"itm: 6 classes need as many principal axes, but centre_dimensions is {dimensions}; "
    ):
        score(centres="principal_axes", centre_dimensions=dimensions)
    assert len(score(centres="principal_axes", centre_dimensions=6)) == 5
    assert np.isfinite(score(centres="random", centre_dimensions=dimensions)).all()
