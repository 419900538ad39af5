"""Evaluation of scores and of cost-free predictors on a published table of accuracies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from itm.agreement import chance_level, weighted_tau
from itm.benchmark.predictors import Predictor, mean_rank_elsewhere
from itm.benchmark.published_table import PublishedPool, read_pools
from itm.benchmark.results import PredictorResult, evaluate_predictor, sort_results
from itm.core.text import format_fixed, pluralize

MIN_MODELS = 3  # per data set; an order of two models is a single comparison
MAX_COMPARISONS = 200_000_000  # of the chance level; larger pools need fewer random orders, because chance varies less


@dataclass(frozen=True)
class PoolReport:
    """Results of one pool of a published table.

    The notes are about skipped data sets, suspicious accuracies, and predictors evaluated on fewer data sets.
    """

    name: str
    accuracy: str  # name of the column
    models: int
    data_sets: int
    missing: int  # pairs without an accuracy, which are excluded
    chance: float | None  # mean tau_w that 5 % of random orders reach
    results: tuple[PredictorResult, ...]
    notes: tuple[str, ...]


def evaluate_table(
    path: Path,
    *,
    scores_path: Path | None = None,
    model: str | None = None,
    data: str | None = None,
    accuracy: str | None = None,
    pool: str | None = None,
    score_columns: Sequence[str] = (),
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[PoolReport, ...]:
    """Evaluate each pool of a table of accuracies: its scores, the mean rank on other data sets, and ceilings.

    Ceilings are other accuracies of the same pairs: another column, or another pool such as another protocol. A score fails on
    a model with an accuracy but without a value. A score without any value on a data set is not evaluated there. Accuracies
    that are all between 0 and 1 are taken as fractions, so regret is always in points.

    Parameters
    ----------
    path, scores_path
        CSV or Parquet files. The second is a long table of scores (columns model, dataset, method, score).
    model, data, accuracy, pool
        Names of columns; by default the usual names are tried.
    score_columns
        Columns of scores, in addition to columns named like a score.
    resamples, seed
        Number of resamples of the 95 % intervals, and their seed.
    """
    names = {"model": model, "data": data, "accuracy": accuracy, "pool": pool}
    pools = read_pools(Path(path), scores_path=scores_path, score_columns=score_columns, **names)
    return tuple(report(own, pools, resamples=resamples, seed=seed) for own in pools)


def report(pool: PublishedPool, all_pools: Sequence[PublishedPool], *, resamples: int, seed: int) -> PoolReport:
    """Evaluate all predictors of `pool`. `all_pools` may contain other accuracies of its pairs."""
    notes = [*pool.notes, *_data_notes(pool)]
    usable = _is_usable(pool.truth)
    known = np.isfinite(pool.truth[usable])
    included = known.any(axis=0)
    models, pairs, sets = int(included.sum()), int(known.sum()), len(known)
    results: list[PredictorResult] = []
    fewer_sets: dict[int, list[str]] = {}  # names of predictors by their number of data sets
    for predictor in _predictors(pool, all_pools):
        own = _is_usable(predictor.truth)
        if not own.any():
            continue
        if predictor.kind == "ceiling" and np.array_equal(predictor.values, predictor.truth, equal_nan=True):
            notes.append(f"{predictor.name}: skipped, since these are the same accuracies.")
            continue
        if own.sum() < sets:
            fewer_sets.setdefault(int(own.sum()), []).append(predictor.name)
        values, truth = predictor.values[own][:, included], predictor.truth[own][:, included]
        names = tuple(name for name, keep in zip(pool.data_sets, own, strict=True) if keep)
        results.append(evaluate_predictor(Predictor(predictor.name, predictor.kind, values, truth), names, resamples, seed))
    notes += [
        f"{', '.join(names)}: tested on {number} of {pluralize(sets, 'data set')}." for number, names in fewer_sets.items()
    ]
    notes += _reported_notes(pool)
    chance = _chance(round(pairs / sets), sets, seed) if sets else None
    missing = models * sets - pairs
    return PoolReport(pool.name, pool.accuracy, models, sets, missing, chance, sort_results(results), tuple(notes))


def _predictors(pool: PublishedPool, all_pools: Sequence[PublishedPool]) -> Iterator[Predictor]:
    """Yield all predictors of a pool, each with its ground truth in percent."""
    truth = _percent(pool.truth)
    for name, values in pool.scores.items():
        has_values = np.isfinite(np.where(np.isfinite(truth), values, np.nan)).any(axis=1, keepdims=True)
        yield Predictor(name, "score", values, np.where(has_values, truth, np.nan))
    usable = _is_usable(truth)
    if usable.sum() > 1:
        elsewhere = mean_rank_elsewhere(np.where(usable[:, None], truth, np.nan))
        yield Predictor("mean_rank_elsewhere", "control", elsewhere, truth)
    ceilings = {f"{name} as a score": _percent(values) for name, values in pool.others.items()}
    ceilings |= {f"accuracy in {other.name}": _percent(_align(other, pool)) for other in all_pools if other is not pool}
    for name, values in ceilings.items():
        both = np.isfinite(values) & np.isfinite(truth)
        yield Predictor(name, "ceiling", np.where(both, values, np.nan), np.where(both, truth, np.nan))


def _is_usable(truth: np.ndarray) -> np.ndarray:
    """Return for each data set whether it has `MIN_MODELS` accuracies that are not all equal, [data sets]."""
    known = np.isfinite(truth)
    spread = np.where(known, truth, -np.inf).max(axis=1) > np.where(known, truth, np.inf).min(axis=1)
    return np.asarray((known.sum(axis=1) >= MIN_MODELS) & spread)


def _data_notes(pool: PublishedPool) -> Iterator[str]:
    """Yield a note per data set that is skipped, or on which half of the models have the same accuracy."""
    for name, row, usable in zip(pool.data_sets, pool.truth, _is_usable(pool.truth), strict=True):
        values, counts = np.unique(row[np.isfinite(row)], return_counts=True)
        most, models = int(counts.max()), int(counts.sum())
        if models < MIN_MODELS:
            yield f"{name}: skipped, since only {pluralize(models, 'model')} of {len(row)} have an accuracy."
        elif not usable:
            yield f"{name}: skipped, since all {models} models have the accuracy {values[0]:g}."
        elif 2 * most >= models:
            yield f"{name}: {most} of {models} models have the accuracy {values[counts.argmax()]:g}; their order means little."


def _reported_notes(pool: PublishedPool) -> Iterator[str]:
    """Yield for each data set the tau_w of the only score, computed from the table, and the one reported with it."""
    if pool.reported is None or len(pool.scores) != 1:
        return
    ((name, scores),) = pool.scores.items()
    for data, truth, values, reported in zip(pool.data_sets, pool.truth, scores, pool.reported, strict=True):
        if np.isfinite([*truth, *values, reported]).all():
            tau = format_fixed(weighted_tau(truth, values), 3)
            yield f"{data}: tau_w of {name} is {tau} here, and reported as {reported:g}."


def _percent(accuracies: np.ndarray) -> np.ndarray:
    known = accuracies[np.isfinite(accuracies)]
    return accuracies * 100 if known.size and known.min() >= 0 and known.max() <= 1 else accuracies


def _align(other: PublishedPool, pool: PublishedPool) -> np.ndarray:
    """Return the accuracies of `other` for the data sets and models of `pool`, NaN where missing."""
    models = {name: number for number, name in enumerate(other.models)}
    sets = {name: number for number, name in enumerate(other.data_sets)}
    rows, columns = (
        [known.get(name, -1) for name in names] for known, names in ((sets, pool.data_sets), (models, pool.models))
    )
    present = np.outer(np.array(rows) >= 0, np.array(columns) >= 0)
    return np.where(present, other.truth[np.ix_(rows, columns)], np.nan)


def _chance(models: int, sets: int, seed: int) -> float:
    orders = min(10_000, max(200, MAX_COMPARISONS // (models**2 * sets)))
    return chance_level(models, sets, orders=orders, seed=seed)
