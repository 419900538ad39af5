"""Measures the race on images: `python -m benchmarks.race [SOURCE ...]`. A minute on two idle cores.

The embedded zoo, or another one, is extracted on each data set and ranked. Then the race is replayed on the stored embeddings
with many random orders of the images. The last line is JSON: the share of the forward passes that the race saves, and in how
many races the first model of the ranking is dropped.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from itm.core.errors import ScoreError
from itm.core.params import Params
from itm.core.sections import DataParams, ScoreParams, ZooParams
from itm.core.types import DataRef, Outcome, ScoreValue, Subset
from itm.data.index import read_usable
from itm.data.subset import strata_of, take
from itm.ranking.batch import splitting
from itm.ranking.rank import rank_data
from itm.run.engine import execute
from itm.run.executors import Inline
from itm.run.plan import plan
from itm.run.race import behind, race_params, subset_sizes
from itm.scores import Sample, canonical, evaluate_together
from itm.store.feature_file import read_embeddings, read_groups
from itm.store.layout import Store


def main() -> None:
    """Extract, replay races, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sources", nargs="*", default=["digits"])
    parser.add_argument("--zoo", type=Path, help="zoo file; default: the embedded zoo")
    parser.add_argument("--score", default="knn")
    parser.add_argument("--races", type=int, default=20, help="races per data set")
    parser.add_argument("--store", type=Path, help="folder of the store; default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        params = Params(
            data=DataParams(sets=tuple(options.sources)),
            zoo=ZooParams(file=options.zoo),
            score=ScoreParams(names=(options.score,), rank_by=options.score),
        )
        figures = measure(params, Store(options.store or Path(folder)), options.races)
    print(json.dumps(figures))


def measure(params: Params, store: Store, races: int) -> dict[str, dict[str, float]]:
    """Rank, replay so many races per data set, and return the figures of each."""
    planned = plan(params, store)
    outcomes = execute(planned, Inline(), store, params)
    return {
        data.name: _figures(data, [own for own in outcomes if own.data == data.name and own.scores], params, store, races)
        for data in planned.data_sets
    }


def _figures(data: DataRef, outcomes: list[Outcome], params: Params, store: Store, races: int) -> dict[str, float]:
    first = rank_data(data, outcomes, params.score).rows[0].model
    usable = read_usable(data, store).filter(pl.col("split").is_in(list(params.score.splits)))
    sizes = subset_sizes(len(usable), len(np.unique(strata_of(usable, data))))
    found = [_passes(data, outcomes, usable, sizes, params.score, seed) for seed in range(races)]
    saved = [1 - statistics.mean(passes.values()) / len(usable) for passes in found]
    return {
        "models": len(outcomes),
        "images": len(usable),
        "looks": len(sizes),
        "passes_saved": round(statistics.mean(saved), 3),
        "first_dropped": sum(passes[first] < len(usable) for passes in found),
        "races": races,
    }


def _passes(
    data: DataRef, outcomes: list[Outcome], usable: pl.DataFrame, sizes: list[int], score: ScoreParams, seed: int
) -> dict[str, int]:
    """Return how many images go through each model in one race."""
    passes, racing = {own.model: len(usable) for own in outcomes}, list(outcomes)
    params = race_params(score, score.rank_by)
    for size in sizes:
        ids = set(take(usable, data, Subset(size, seed))["id"])
        scores = {own.model: value for own in racing if (value := _score(own, ids, params))}
        late: Mapping[str, float] = {}
        if len(scores) > 1:
            late = behind(scores, len(sizes) * (len(outcomes) - 1), splitting(params).test_over_train)
        passes |= dict.fromkeys(late, size)
        racing = [own for own in racing if own.model in scores and own.model not in late]
    return passes


def _score(outcome: Outcome, ids: set[str], params: ScoreParams) -> ScoreValue | None:
    """Return the score of a part of the stored embeddings."""
    (before,), name = outcome.scores, params.names[0]
    (found,) = evaluate_together(name, [_sample(outcome, ids)], options=params.options.get(name), splitting=splitting(params))
    if isinstance(found, ScoreError):
        return None
    return ScoreValue(before.data, before.data_hash, before.model, before.weights, name, found.value, found.fold_values, 0.0)


def _sample(outcome: Outcome, ids: set[str]) -> Sample:
    assert outcome.features
    path = outcome.features.path
    embeddings, targets, names = read_embeddings(path)
    rows = [row for row, name in enumerate(names) if name in ids]
    groups = read_groups(path)[rows]
    return canonical(embeddings[rows], targets[rows], [names[row] for row in rows], None, outcome.features.kind, groups)


if __name__ == "__main__":
    main()
