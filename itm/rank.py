"""Scores to a ranking: order, 95 % intervals, groups that cannot be told apart, and failures last with their reason."""

import platform
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl
from scipy.special import stdtrit

from itm import extract, scoring
from itm import scores as registry
from itm.batch import splitting
from itm.params import Params, ScoreParams
from itm.scores.contract import Sampling
from itm.types import DataRanking, DataRef, Estimate, Failure, Outcome, RankedModel, Ranking, Score, ScoreFacts

CONFIDENCE = 0.95
DETAILS = ("accuracy", "balanced_accuracy", "control", "majority_rate")
SCHEMA = {
    "data": pl.String,
    "data_hash": pl.String,
    "model": pl.String,
    "weights": pl.String,
    "score": pl.String,
    "draw": pl.Int64,
    "value": pl.Float64,
    "standard_error": pl.Float64,
    **dict.fromkeys(DETAILS, pl.Float64),
    "status": pl.String,
    "step": pl.String,
    "reason": pl.String,
}


def standard_error(sampling: Sampling, draws: Sequence[float], judged_over_learnt: float) -> float:
    """Return the standard error of a score whose draws vary as these do.

    Splits and subsets of the same rows overlap, so their plain standard error is far too small. Two corrections are known:

    - held-out accuracies averaged over K splits: s^2 (1/K + judged / learnt), Nadeau and Bengio, Machine Learning 2003, and for
      repeated cross-validation Bouckaert and Frank, PAKDD 2004;
    - values of what the splits learn from, the judged rows left out: learnt / judged times their variance, the delete-d
      jackknife, Shao and Wu, Annals of Statistics 1989.
    """
    variance = float(np.var(draws, ddof=1))
    if sampling == "held_out":
        variance *= 1 / len(draws) + judged_over_learnt
    else:
        variance /= judged_over_learnt
    return float(variance**0.5)


def half_width(sampling: Sampling, draws: Sequence[float], judged_over_learnt: float) -> float:
    """Return half the 95 % interval of a score whose draws vary as these do."""
    return _quantile(len(draws) - 1) * standard_error(sampling, draws, judged_over_learnt)


@cache
def _quantile(degrees_of_freedom: int) -> float:
    """Return how many standard errors half an interval has: asking SciPy takes longer than all else, and a zoo asks often."""
    return float(stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2))


def estimate(score: Score, judged_over_learnt: float) -> Estimate:
    """Return a score's value with its interval, cut at the ends of the score's range."""
    definition = registry.get(score.score)
    error = standard_error(definition.sampling, score.draws, judged_over_learnt)
    half = _quantile(len(score.draws) - 1) * error
    low, high = max(score.value - half, definition.lowest), min(score.value + half, definition.highest)
    return Estimate(score.value, low, high, score.draws, error, score.details)


def cannot_be_told_apart(sampling: Sampling, one: Estimate, other: Estimate, judged_over_learnt: float) -> bool:
    """Say whether the 95 % interval of the difference holds 0; draws pair up, since they are on the same rows."""
    differences = np.subtract(one.draws, other.draws)
    return abs(one.value - other.value) <= half_width(sampling, differences.tolist(), judged_over_learnt)


def rank_data(data: DataRef, outcomes: Iterable[Outcome], params: ScoreParams, reason: str | None = None) -> DataRanking:
    """Rank the models of one data set by the score that `params` names."""
    sampling = registry.get(params.rank_by).sampling
    share = splitting(params).judged_over_learnt
    rows = [_row(outcome, params.rank_by, share) for outcome in outcomes]
    ranked = sorted((r for r in rows if r.estimate), key=lambda r: (-_value(r), r.model))
    failed = sorted((r for r in rows if not r.estimate), key=lambda r: r.model)
    placed: list[RankedModel] = []
    leader, group = None, 0
    for place, row in enumerate(ranked, start=1):
        assert row.estimate is not None
        if leader is None or not cannot_be_told_apart(sampling, leader, row.estimate, share):
            leader, group = row.estimate, group + 1
        first = placed[0].estimate if placed else None
        tied = first is not None and cannot_be_told_apart(sampling, first, row.estimate, share)
        placed.append(replace(row, rank=place, tie_group=group, tied_with_first=tied))
    return DataRanking(
        data=data.name,
        source=data.source,
        hash=data.hash,
        images=data.images,
        classes=data.classes,
        set_aside=data.set_aside,
        rows=(*placed, *failed),
        reason=reason,
    )


def ranking(data_sets: Iterable[DataRanking], params: Params) -> Ranking:
    """Put data sets together with what the scores mean and where everything comes from."""
    described = [registry.get(name) for name in registry.computed(params.score.names)]
    return Ranking(
        rank_by=params.score.rank_by,
        data_sets=tuple(data_sets),
        scores=tuple(ScoreFacts(d.name, d.summary, d.meaning, d.value_range, d.paper) for d in described),
        provenance={
            "params": params.model_dump(mode="json", include={"data", "zoo", "extract", "score"}),
            "packages": {name: version(name) for name in sorted({"itm-rank", *extract.PACKAGES, *scoring.PACKAGES})},
            "versions": {"extractor": extract.EXTRACTOR, "scores": scoring.SCORES, "python": platform.python_version()},
        },
    )


def scores_table(data_sets: Iterable[DataRef], outcomes: Iterable[Outcome], params: ScoreParams) -> pl.DataFrame:
    """Return the long table: a row a value (draw is null) and a row a draw, failures as rows with step and reason.

    The row of a value carries its standard error and those of the `DETAILS` that the score has.
    """
    hashes = {data.name: data.hash for data in data_sets}
    share = splitting(params).judged_over_learnt
    rows: list[dict[str, Any]] = []
    for outcome in outcomes:
        for score in outcome.scores:
            known = {"data": score.data, "data_hash": score.data_hash, "model": score.model, "weights": score.weights}
            known |= {"score": score.score, "status": "ok"}
            error = standard_error(registry.get(score.score).sampling, score.draws, share)
            details = {name: score.details.get(name) for name in DETAILS}
            rows.append(known | {"draw": None, "value": score.value, "standard_error": error} | details)
            rows += [known | {"draw": draw, "value": value} for draw, value in enumerate(score.draws)]
        for failure in outcome.failures:
            known = {"data": outcome.data, "data_hash": hashes.get(outcome.data, ""), "model": outcome.model}
            rows.append(known | {"status": "failed", "step": failure.step, "reason": failure.reason})
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row") if rows else pl.DataFrame(schema=SCHEMA)
    return table.sort("data", "model", "score", "step", "draw", nulls_last=False)


def _row(outcome: Outcome, rank_by: str, judged_over_learnt: float) -> RankedModel:
    estimates = {score.score: estimate(score, judged_over_learnt) for score in outcome.scores}
    chosen = estimates.get(rank_by)
    features = outcome.features
    return RankedModel(
        model=outcome.model,
        status="ranked" if chosen else "failed",
        estimate=chosen,
        scores=estimates,
        weights=features.weights if features else None,
        facts=features.facts if features else None,
        images_per_second=features.images_per_second if features else None,
        failures=outcome.failures,
    )


def _value(row: RankedModel) -> float:
    assert row.estimate is not None
    return row.estimate.value


def failed_outcome(data: str, model: str, step: str, reason: str) -> Outcome:
    """Return the outcome of a pair that gave nothing."""
    return Outcome(data, model, None, (), (Failure(data, model, step, reason),))
