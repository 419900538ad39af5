"""Controls depend on facts about a model and not on its images."""

from typing import Any

import numpy as np
import pytest

from itm.core.errors import ParamsError, ScoreError
from itm.scores import ModelInfo, evaluate, make
from tests.scores.samples import blobs


def value(name: str, seed: int = 0, gap: float = 2.0, options: dict[str, Any] | None = None, **facts: Any) -> float:
    """Return the value of a control for a model with these facts."""
    return evaluate(name, *blobs(seed=seed, gap=gap), model=ModelInfo(**facts), options=options).value


@pytest.mark.parametrize(
    ("name", "fact", "expected"),
    [("parameters", 25557032, 25.557032), ("gmacs", 4.09, 4.09), ("imagenet_top1", 80.382, 80.382)],
)
def test_a_fact_is_the_value(name: str, fact: float, expected: float) -> None:
    assert value(name, **{name: fact}) == value(name, seed=5, gap=0.1, **{name: fact}) == pytest.approx(expected)
    result = evaluate(name, *blobs(), model=ModelInfo(**{name: fact}))
    assert result.fold_values == (result.value,) * 5


@pytest.mark.parametrize("name", ["parameters", "gmacs", "imagenet_top1", "random"])
def test_what_is_not_known_is_an_error(name: str) -> None:
    with pytest.raises(ScoreError, match=f"{name} needs .* which is not known"):
        evaluate(name, *blobs())


def test_random_is_the_same_for_the_same_model_and_seed() -> None:
    first = value("random", identity="resnet50.a1_in1k")
    assert value("random", seed=4, gap=0.1, identity="resnet50.a1_in1k", parameters=1.0) == first
    assert value("random", identity="resnet50.a2_in1k") != first
    assert value("random", identity="resnet50.a1_in1k", options={"seed": 1}) != first


def test_random_numbers_are_spread_evenly_and_seeds_share_nothing() -> None:
    drawn = np.array([[value("random", identity=f"model {i}", options={"seed": s}) for i in range(1000)] for s in (0, 1)])
    tenths = np.histogram(drawn[0], bins=10, range=(0, 1))[0]
    assert tenths.sum() == 1000
    assert ((tenths > 60) & (tenths < 140)).all()
    assert abs(np.corrcoef(drawn)[0, 1]) < 0.1


def test_a_negative_seed_is_an_error() -> None:
    with pytest.raises(ParamsError, match=r"score 'random' options: seed: must be greater than .* \(got -1\)"):
        make("random", {"seed": -1})
