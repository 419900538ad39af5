"""From scores to a ranking: order, 95 % intervals, tie groups, and failures at the end."""

import platform
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import polars as pl

from itm import scores as registry
from itm.core.errors import ParamsError
from itm.core.params import Params
from itm.core.rankings import DataRanking, MetricFacts, RankedModel, Ranking, ScoreFacts
from itm.core.sections import ScoreParams
from itm.core.types import DataRef, Exclusion, Failure, Outcome, Points, TargetSpec
from itm.features import identity
from itm.kinds import METRICS, get_kind
from itm.prediction.expected import predicted
from itm.prediction.parameters import FITTED, read_parameters
from itm.ranking import scoring
from itm.ranking.batch import splitting
from itm.ranking.intervals import cannot_be_told_apart, estimate, standard_error

AUTO = "auto"
RANKING = 3  # raise it when a change of order, intervals, ties or records changes a ranking
SCHEMA = {
    "data": pl.String,
    "data_hash": pl.String,
    "model": pl.String,
    "weights": pl.String,
    "score": pl.String,
    "fold": pl.Int64,
    "value": pl.Float64,
    "standard_error": pl.Float64,
    "metric": pl.String,
    "status": pl.String,
    "step": pl.String,
    "reason": pl.String,
}


def rank_data(data: DataRef, outcomes: Iterable[Outcome], params: ScoreParams, reason: str | None = None) -> DataRanking:
    """Rank the models of one data set by the score that `params` or the task kind names."""
    kind, rank_by = get_kind(data.target.kind), score_to_rank_by(params, data.target.kind)
    sampling = registry.get(rank_by).sampling
    share = splitting(params).test_over_train
    outcomes = list(outcomes)
    rows = [_row(outcome, rank_by, share, data.target) for outcome in outcomes]
    ranked = sorted(((row.estimate, row) for row in rows if row.estimate), key=lambda pair: (-pair[0].value, pair[1].model))
    failed = sorted((row for row in rows if not row.estimate), key=lambda row: row.model)
    placed: list[RankedModel] = []
    leader, group = None, 0
    for place, (own, row) in enumerate(ranked, start=1):
        if leader is None or not cannot_be_told_apart(sampling, leader, own, share):
            leader, group = own, group + 1
        tied = place > 1 and cannot_be_told_apart(sampling, ranked[0][0], own, share)
        placed.append(replace(row, rank=place, tie_group=group, tied_with_first=tied))
    metrics = (score.metric for outcome in outcomes for score in outcome.scores if score.score == rank_by)
    return DataRanking(
        data=data.name,
        source=data.source,
        hash=data.hash,
        images=data.images,
        target=data.target,
        metric=MetricFacts(kind.main_metric.name, kind.main_metric.label, kind.main_metric.higher_is_better),
        rank_by=rank_by,
        rows=(*_with_predictions(placed, data), *failed),
        score_metric=next(metrics, None),
        groups=data.groups,
        rejected=data.rejected,
        reason=reason,
        points=_points(placed, outcomes, rank_by, data.target),
        not_applicable=tuple(
            name for name in registry.expand(params.names) if name not in scores_for(params, data.target.kind)
        ),
    )


def _with_predictions(rows: Sequence[RankedModel], data: DataRef) -> list[RankedModel]:
    if data.target.kind != "classification":
        return list(rows)
    accuracies = predicted(rows, read_parameters().of(FITTED).prior)
    return [replace(row, predicted=own) for row, own in zip(rows, accuracies, strict=True)]


def scores_for(params: ScoreParams, kind: str) -> tuple[str, ...]:
    """Return the names of the scores that `params` names and that are defined for a task kind."""
    return tuple(name for name in registry.expand(params.names) if kind in registry.get(name).info.kinds)


def score_to_rank_by(params: ScoreParams, kind: str) -> str:
    """Return the score that `params.rank_by` names; `auto` is the first of the kind's own choices that is computed."""
    names = scores_for(params, kind)
    if params.rank_by == AUTO:
        for name in (*get_kind(kind).rank_by, *names):
            if name in names:
                return name
    elif params.rank_by in names:
        return params.rank_by
    known = [name for name in registry.names() if kind in registry.get(name).info.kinds]
    named = ", ".join(params.names) if params.rank_by == AUTO else params.rank_by
    raise ParamsError(f"{named}: not defined for {kind}; take one of {', '.join(known)}.")


def ranking(data_sets: Iterable[DataRanking], params: Params, excluded: tuple[Exclusion, ...] = ()) -> Ranking:
    """Return the rankings of all data sets with what was excluded, what the scores mean and where everything comes from."""
    data_sets = tuple(data_sets)
    scores = dict.fromkeys(name for data in data_sets for name in scores_for(params.score, data.target.kind))
    versions = {name: registry.get(name).info.version for name in scores}
    return Ranking(
        data_sets=data_sets,
        scores=tuple(_facts(name, dict.fromkeys(data.target.kind for data in data_sets)) for name in scores),
        provenance={
            "params": params.model_dump(mode="json", include={"data", "zoo", "extract", "score"}) | _filters(params),
            "packages": {name: version(name) for name in sorted({"itm-rank", *identity.PACKAGES, *scoring.PACKAGES})},
            "versions": {"extractor": identity.EXTRACTOR, "scores": versions, "python": platform.python_version()},
        },
        excluded=excluded,
    )


def _filters(params: Params) -> dict[str, Any]:
    found = params.filters.as_set()
    return {"filters": found} if found else {}


def _facts(name: str, kinds: Iterable[str]) -> ScoreFacts:
    score = registry.get(name)
    info, held = score.info, [get_kind(kind) for kind in kinds if kind in score.info.kinds]
    ranges = " or ".join(dict.fromkeys(map(score.value_range, held)))
    return ScoreFacts(info.name, info.summary, info.meaning, ranges, info.paper, info.kinds)


def scores_table(data_sets: Iterable[DataRef], outcomes: Iterable[Outcome], params: ScoreParams) -> pl.DataFrame:
    """Return the long table: one row per value (fold is null), one per value of a fold, and one per failure with its reason.

    The row of a value has its standard error, the name of the metric that it is the mean of, and the details of the score, each
    in a column of its own.
    """
    data_sets = list(data_sets)
    hashes, targets = {data.name: data.hash for data in data_sets}, {data.name: data.target for data in data_sets}
    outcomes = [_with_names(outcome, targets.get(outcome.data)) for outcome in outcomes]
    details = _detail_names(outcomes)
    schema = _schema(details)
    share = splitting(params).test_over_train
    rows: list[dict[str, Any]] = []
    for outcome in outcomes:
        for score in outcome.scores:
            known = {"data": score.data, "data_hash": score.data_hash, "model": score.model, "weights": score.weights}
            known |= {"score": score.score, "status": "ok"}
            error = standard_error(registry.get(score.score).sampling, score.fold_values, share)
            own = {"standard_error": error, "metric": score.metric} | {name: score.details.get(name) for name in details}
            rows.append(known | {"fold": None, "value": score.value} | own)
            rows += [known | {"fold": fold, "value": value} for fold, value in enumerate(score.fold_values)]
        for failure in outcome.failures:
            known = {"data": outcome.data, "data_hash": hashes.get(outcome.data, ""), "model": outcome.model}
            rows.append(known | {"status": "failed", "step": failure.step, "reason": failure.reason})
    table = pl.DataFrame(rows, schema=schema, orient="row") if rows else pl.DataFrame(schema=schema)
    return table.sort("data", "model", "score", "step", "fold", nulls_last=False)


def _detail_names(outcomes: Iterable[Outcome]) -> list[str]:
    """Return the names of all details, the metrics first and in the order of their kinds."""
    found = {name for outcome in outcomes for score in outcome.scores for name in score.details}
    return [*(name for name in METRICS if name in found), *sorted(found - METRICS.keys())]


def _schema(details: Iterable[str]) -> dict[str, Any]:
    """Return the schema of the long table, the columns of the details after the one that names the metric."""
    columns = list(SCHEMA.items())
    place = list(SCHEMA).index("metric") + 1
    return dict([*columns[:place], *((name, pl.Float64) for name in details), *columns[place:]])


def _points(placed: Sequence[RankedModel], outcomes: Iterable[Outcome], rank_by: str, target: TargetSpec) -> dict[str, Points]:
    """Return the held-out predictions of the first model, by the name of the target; a single one can have none."""
    first = placed[0].model if placed else ""
    scores = (score for outcome in outcomes if outcome.model == first for score in outcome.scores if score.score == rank_by)
    found = next((score.points for score in scores), {})
    return {target.names[int(number)] if target.names else "": own for number, own in found.items()}


def _with_names(outcome: Outcome, target: TargetSpec | None) -> Outcome:
    """Return an outcome in whose details the targets have their names instead of numbers."""
    if target is None or not target.names:
        return outcome
    scores = (
        replace(score, details={_named(key, target): value for key, value in score.details.items()}) for score in outcome.scores
    )
    return replace(outcome, scores=tuple(scores))


def _named(detail: str, target: TargetSpec) -> str:
    metric, slash, number = detail.partition("/")
    return f"{metric}/{target.names[int(number)]}" if slash else detail


def _row(outcome: Outcome, rank_by: str, test_over_train: float, target: TargetSpec) -> RankedModel:
    outcome = _with_names(outcome, target)
    estimates = {score.score: estimate(score, test_over_train) for score in outcome.scores}
    chosen = estimates.get(rank_by)
    features = outcome.features
    return RankedModel(
        model=outcome.model,
        status="ranked" if chosen else "failed",
        estimate=chosen,
        scores=estimates,
        weights=features.weights if features else None,
        facts=features.facts if features else None,
        speed=outcome.speed,
        failures=outcome.failures,
    )


def failed_outcome(data: str, model: str, step: str, reason: str) -> Outcome:
    """Return the outcome of a model and data set without any score."""
    return Outcome(data, model, None, (), (Failure(data, model, step, reason),))
