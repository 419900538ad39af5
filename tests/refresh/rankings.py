"""Rankings and refreshes made of numbers alone, ranked and put in short by the real parts."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from itm.core.keys import content_key
from itm.core.params import Params
from itm.core.rankings import Ranking
from itm.core.sections import DataParams, ScoreParams
from itm.core.types import DataRef, Facts, Features, Outcome, ScoreValue, TargetSpec
from itm.ranking.rank import failed_outcome, rank_data, ranking
from itm.refresh.changes import options_key
from itm.refresh.history import standing
from itm.refresh.records import Refresh

PARAMS = ScoreParams(names=("knn",), rank_by="knn")
TARGET = TargetSpec("classification", ("a", "b"))
FACTS = Facts(1, 0.1, 8, 48, "", "")
OFFSETS = (-0.02, -0.01, 0.0, 0.01, 0.02)  # the values per fold around a value
ALIKE = (0.02, -0.01, 0.0, 0.01, -0.02)  # which differ from those by far more than nothing
Values = Mapping[str, float | str]


def features(model: str, data: str = "petals", weights: str | None = None) -> Features:
    """Return the record of a feature file that nobody reads."""
    found = weights or f"weights of {model}"
    return Features(Path("x"), "k", model, found, data, "d", "classification", 9, FACTS, 1.0, cached=False)


def outcome(
    model: str, value: float | str, data: str, offsets: tuple[float, ...] = OFFSETS, weights: str | None = None
) -> Outcome:
    """Return what a pair came to: a value with values per fold around it, or the reason why there is none."""
    if isinstance(value, str):
        return failed_outcome(data, model, "extract", value)
    of = features(model, data, weights)
    fold_values = tuple(value + offset for offset in offsets)
    return Outcome(data, model, of, (ScoreValue(data, "d", model, of.weights, "knn", value, fold_values, 0.1),), ())


def rank(
    *sets: Values,
    names: tuple[str, ...] = ("petals", "leaves"),
    noisy: tuple[str, ...] = (),
    weights: Mapping[str, str] | None = None,
    images: int = 90,
    reason: str | None = None,
    seed: int = 0,
) -> Ranking:
    """Return the ranking of these values by model, of a data set each; folds of `noisy` models vary unlike those of others."""
    rows = []
    for name, values in zip(names, sets, strict=False):
        ref = DataRef(name, name, Path("x"), content_key([name, images]) if images else "", TARGET, images)
        outcomes = [
            outcome(model, value, name, ALIKE if model in noisy else OFFSETS, (weights or {}).get(model))
            for model, value in values.items()
        ]
        rows.append(rank_data(ref, outcomes, PARAMS, reason))
    return ranking(rows, Params(score=PARAMS, data=DataParams(seed=seed)))


def recommend_first(ranked: Ranking) -> dict[str, str]:
    """Recommend the winner of every data set."""
    return {data.data: data.rows[0].model for data in ranked.data_sets if data.rows[0].rank}


def refresh(ranked: Ranking, recommended: Mapping[str, str] | None = None, number: int = 1) -> Refresh:
    """Return the record of a refresh that came to this ranking."""
    told = recommend_first(ranked) if recommended is None else recommended
    standings = tuple(standing(data, told.get(data.data)) for data in ranked.data_sets)
    return Refresh(number, f"2026-03-{1 + number % 28:02d}T02:00:00+00:00", options_key(ranked), standings)


def failing_whole(ranked: Ranking, reason: str) -> Ranking:
    """Return the ranking as it is where its first data set fails when it is ingested."""
    data = ranked.data_sets[0]
    values = {row.model: reason for row in data.rows}
    return rank(values, names=(data.data,), images=0, reason=reason)


def without(ranked: Ranking, data: str) -> Ranking:
    """Return the ranking without one of its data sets."""
    return replace(ranked, data_sets=tuple(one for one in ranked.data_sets if one.data != data))
