"""Scores to a ranking: order, 95 % intervals, groups that cannot be told apart, and failures last with their reason."""

import platform
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import polars as pl

from itm import scores as registry
from itm.core.params import Params
from itm.core.rankings import DataRanking, RankedModel, Ranking, ScoreFacts
from itm.core.sections import ScoreParams
from itm.core.types import DataRef, Failure, Outcome
from itm.features import extract
from itm.ranking import scoring
from itm.ranking.batch import splitting
from itm.ranking.intervals import cannot_be_told_apart, estimate, standard_error

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
