"""Combined scores: computed when the values of all models are there, and only then."""

from dataclasses import replace
from pathlib import Path

import pytest

from itm.core.sections import ScoreParams
from itm.core.types import Facts, Failure, Features, Outcome, ScoreValue
from itm.ranking.pooled import with_pooled

ETRAN = ScoreParams(names=("etran",), rank_by="etran")
FACTS = Facts(1, 0.1, 8, 48, "", "")


def outcome(model: str, **scores: tuple[float, ...]) -> Outcome:
    """Return the outcome of a model with a value and values per fold of each score."""
    features = Features(Path("x"), "k", model, "w", "petals", "d", "classification", 9, FACTS, 1.0, cached=False)
    made = [ScoreValue("petals", "d", model, "w", name, value, folds, 0.1) for name, (value, *folds) in scores.items()]
    return Outcome("petals", model, features, tuple(replace(one, fold_values=tuple(one.fold_values)) for one in made), ())


def values(outcomes: list[Outcome], name: str = "etran") -> dict[str, tuple[float, ...]]:
    """Return value and values per fold of a score, by model."""
    return {o.model: (score.value, *score.fold_values) for o in outcomes for score in o.scores if score.score == name}


def test_terms_are_scaled_over_the_pool_and_weighted() -> None:
    pool = [
        outcome("a", energy=(10.0, 1.0, 5.0), lda=(0.5, 0.1, 0.3)),
        outcome("b", energy=(20.0, 3.0, 5.0), lda=(0.9, 0.2, 0.2)),
        outcome("c", energy=(15.0, 2.0, 5.0), lda=(0.8, 0.3, 0.4)),
    ]
    found = values(with_pooled(pool, ETRAN))
    assert found["a"] == pytest.approx((0.0, 0.0, 0.85 / 2))
    assert found["b"] == pytest.approx((1.0, 0.15 + 0.85 / 2, 0.0))
    assert found["c"] == pytest.approx((0.15 / 2 + 0.85 * 0.75, 0.15 / 2 + 0.85, 0.85))


def test_a_model_that_lacks_a_term_fails_alone() -> None:
    pool = [
        outcome("a", energy=(10.0, 1.0), lda=(0.5, 0.1)),
        outcome("headless", lda=(0.99, 0.99)),
        outcome("b", energy=(20.0, 3.0), lda=(0.9, 0.2)),
    ]
    found = with_pooled(pool, ETRAN)
    assert values(found) == {"a": (0.0, 0.0), "b": (1.0, 1.0)}
    assert found[1].failures == (Failure("petals", "headless", "score etran", "is made of energy too, which failed."),)
    assert found[1].scores == pool[1].scores


def test_another_model_can_swap_two() -> None:
    pool = [outcome("a", energy=(0.0, 0.0), lda=(0.60, 0.60)), outcome("b", energy=(10.0, 10.0), lda=(0.59, 0.59))]
    before = values(with_pooled(pool, ETRAN))
    assert before["a"][0] > before["b"][0]
    third = outcome("c", energy=(5.0, 5.0), lda=(0.10, 0.10))
    after = with_pooled([*pool, third], ETRAN)
    assert values(after)["a"][0] < values(after)["b"][0]
    assert values(after, "lda") == {"a": (0.60, 0.60), "b": (0.59, 0.59), "c": (0.10, 0.10)}


@pytest.mark.parametrize("pool", [[], [outcome("alone", energy=(3.0, 3.0), lda=(0.5, 0.5))]])
def test_a_pool_of_one_or_none_is_no_trouble(pool: list[Outcome]) -> None:
    assert values(with_pooled(pool, ETRAN)) == {o.model: (0.0, 0.0) for o in pool}


def test_scores_of_one_model_are_left_as_they_are() -> None:
    pool = [outcome("a", knn=(0.5, 0.4))]
    assert with_pooled(pool, ScoreParams(names=("knn",), rank_by="knn")) == pool
