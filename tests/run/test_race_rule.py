"""The rule of a race: which models are clearly behind the best one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from itm.core.types import ScoreValue
from itm.run import race


@pytest.fixture
def scores() -> Callable[..., dict[str, ScoreValue]]:
    """Return a function from the accuracies per fold of models to their scores."""

    def make(**folds: np.ndarray) -> dict[str, ScoreValue]:
        one = ScoreValue("d", "h", "", "w", "knn", 0.0, (), 0.0)
        return {
            name: replace(one, model=name, value=float(values.mean()), fold_values=tuple(values))
            for name, values in folds.items()
        }

    return make


def test_equal_models_are_dropped_at_most_as_often_as_alpha(scores: Callable[..., dict[str, ScoreValue]]) -> None:
    rng, races, models, looks, lost = np.random.default_rng(0), 200, 20, 3, 0
    images = 12 * race.FOLDS
    for _ in range(races):
        correct = rng.random((models, images * 2 ** (looks - 1))) < 0.7
        by_look = [correct[:, : images * 2**look].reshape(models, race.FOLDS, -1).mean(axis=2) for look in range(looks)]
        found = [scores(**{f"m{number}": folds for number, folds in enumerate(own)}) for own in by_look]
        lost += any("m0" in race.behind(own, looks * (models - 1), 1 / (race.FOLDS - 1)) for own in found)
    assert lost <= race.ALPHA * races


def test_a_model_far_behind_is_dropped_and_a_close_one_is_not(scores: Callable[..., dict[str, ScoreValue]]) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=0.05, size=race.FOLDS)
    found = scores(best=0.9 + noise, close=0.88 + rng.normal(scale=0.05, size=race.FOLDS), far=0.4 + noise * 0.5)
    late = race.behind(found, 100, 1 / (race.FOLDS - 1))
    assert late.keys() == {"far"}
    assert 0.3 < late["far"] < 0.5
