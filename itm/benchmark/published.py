"""Judges scores, and what costs nothing, against a published table of accuracies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from itm.agreement import random_ranker
from itm.benchmark.contenders import Contender, mean_rank_elsewhere
from itm.benchmark.published_table import PublishedPool, read_pools
from itm.benchmark.standings import Standing, in_order, standing
from itm.core.text import counted

LEAST_MODELS = 3  # on a data set; an order of two is one comparison
COMPARISONS = 200_000_000  # of models, that the random ranker may take; larger pools need fewer draws, as chance varies less


@dataclass(frozen=True)
class PoolReport:
    """How contenders stand in one pool of a published table.

    `missing` pairs of a model and a data set have no accuracy and take no part. `chance` is the mean tau_w that one in twenty
    random orders reaches. `notes` say what was skipped, what is odd, and who was judged on fewer data sets.
    """

    name: str
    accuracy: str
    models: int
    data_sets: int
    missing: int
    chance: float | None
    standings: tuple[Standing, ...]
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
    draws: int = 1000,
    seed: int = 0,
) -> tuple[PoolReport, ...]:
    """Return a report of every pool of a table of accuracies: its scores, the target-blind order, and the ceilings it has.

    Ceilings are second accuracies of the same pairs: another column, or another pool such as another protocol. A score that has
    no value where there is an accuracy has failed there; on a data set where it has none at all, it is not judged. Accuracies
    that all lie between 0 and 1 are taken for fractions, so that regret is in points.

    Parameters
    ----------
    path, scores_path
        CSV or Parquet files; the second is a long table of scores (columns model, dataset, method, score).
    model, data, accuracy, pool
        Names of columns, where they are not the usual ones.
    score_columns
        Columns of scores, beside those that have a score's name.
    draws, seed
        Resamples for the 95 % intervals, and what they are drawn from.

    Raises
    ------
    DataError
        If a file cannot be read, a column is missing, or a model has two accuracies on one data set.
    """
    names = {"model": model, "data": data, "accuracy": accuracy, "pool": pool}
    pools = read_pools(Path(path), scores_path=scores_path, score_columns=score_columns, **names)
    return tuple(report(one, pools, draws=draws, seed=seed) for one in pools)


def report(pool: PublishedPool, all_pools: Sequence[PublishedPool], *, draws: int, seed: int) -> PoolReport:
    """Return how contenders stand in `pool`; `all_pools` may hold second accuracies of its pairs."""
    notes = [*pool.notes, *_odd(pool)]
    keeps_order = _keeps_order(pool.truth)
    known = np.isfinite(pool.truth[keeps_order])
    takes_part = known.any(axis=0)
    models, pairs, sets = int(takes_part.sum()), int(known.sum()), len(known)
    found: list[Standing] = []
    on_fewer: dict[int, list[str]] = {}
    for one in _contenders(pool, all_pools):
        judged = _keeps_order(one.truth)
        if not judged.any():
            continue
        if one.kind == "ceiling" and np.array_equal(one.values, one.truth, equal_nan=True):
            notes.append(f"{one.name}: the same accuracies, so no second measurement.")
            continue
        if judged.sum() < sets:
            on_fewer.setdefault(int(judged.sum()), []).append(one.name)
        part = Contender(one.name, one.kind, one.values[judged][:, takes_part], one.truth[judged][:, takes_part])
        where = tuple(name for name, there in zip(pool.data_sets, judged, strict=True) if there)
        found.append(standing(part, where, draws, seed))
    notes += [f"{', '.join(names)}: judged on {number} of {counted(sets, 'data set')}." for number, names in on_fewer.items()]
    chance = _chance(round(pairs / sets), sets, seed) if sets else None
    return PoolReport(pool.name, pool.accuracy, models, sets, models * sets - pairs, chance, in_order(found), tuple(notes))


def _contenders(pool: PublishedPool, all_pools: Sequence[PublishedPool]) -> Iterator[Contender]:
    """Yield all that can order this pool, with the accuracies that each is judged by, in percent."""
    truth = _percent(pool.truth)
    for name, values in pool.scores.items():
        has_any = np.isfinite(np.where(np.isfinite(truth), values, np.nan)).any(axis=1, keepdims=True)
        yield Contender(name, "score", values, np.where(has_any, truth, np.nan))
    keeps_order = _keeps_order(truth)
    if keeps_order.sum() > 1:
        elsewhere = mean_rank_elsewhere(np.where(keeps_order[:, None], truth, np.nan))
        yield Contender("mean_rank_elsewhere", "control", elsewhere, truth)
    seconds = {f"{name} as a score": _percent(values) for name, values in pool.others.items()}
    seconds |= {f"accuracy in {other.name}": _percent(_at(other, pool)) for other in all_pools if other is not pool}
    for name, values in seconds.items():
        both = np.isfinite(values) & np.isfinite(truth)
        yield Contender(name, "ceiling", np.where(both, values, np.nan), np.where(both, truth, np.nan))


def _keeps_order(truth: np.ndarray) -> np.ndarray:
    """Say of which data sets the accuracies make an order of models, [data sets]."""
    known = np.isfinite(truth)
    spread = np.where(known, truth, -np.inf).max(axis=1) > np.where(known, truth, np.inf).min(axis=1)
    return np.asarray((known.sum(axis=1) >= LEAST_MODELS) & spread)


def _odd(pool: PublishedPool) -> Iterator[str]:
    """Yield a sentence on each data set that is skipped, or on which half of the models share one accuracy."""
    for name, row, kept in zip(pool.data_sets, pool.truth, _keeps_order(pool.truth), strict=True):
        values, shared = np.unique(row[np.isfinite(row)], return_counts=True)
        often, models = int(shared.max()), int(shared.sum())
        if models < LEAST_MODELS:
            yield f"{name}: skipped, as only {counted(models, 'model')} of {len(row)} have an accuracy."
        elif not kept:
            yield f"{name}: skipped, as all {models} models have the accuracy {values[0]:g}, which is no order."
        elif 2 * often >= models:
            yield f"{name}: {often} of {models} models have the accuracy {values[shared.argmax()]:g}, so its order says little."


def _percent(accuracies: np.ndarray) -> np.ndarray:
    known = accuracies[np.isfinite(accuracies)]
    return accuracies * 100 if known.size and known.min() >= 0 and known.max() <= 1 else accuracies


def _at(other: PublishedPool, pool: PublishedPool) -> np.ndarray:
    """Return the accuracies of another pool at the data sets and models of this one, NaN where it lacks them."""
    models = {name: place for place, name in enumerate(other.models)}
    sets = {name: place for place, name in enumerate(other.data_sets)}
    rows, columns = (
        [known.get(name, -1) for name in names] for known, names in ((sets, pool.data_sets), (models, pool.models))
    )
    there = np.outer(np.array(rows) >= 0, np.array(columns) >= 0)
    return np.where(there, other.truth[np.ix_(rows, columns)], np.nan)


def _chance(models: int, sets: int, seed: int) -> float:
    draws = min(10_000, max(200, COMPARISONS // (models**2 * sets)))
    return random_ranker(models, sets, draws=draws, seed=seed)
