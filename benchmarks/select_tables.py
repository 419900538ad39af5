"""Pick a model from its record on other data sets: `python -m benchmarks.select_tables [FACTS] [--shapes]`.

FACTS is the folder of published tables, by default ../shared/facts. Each data set is left out in turn. Its models are picked by
the records on the other data sets and k cells of the left-out one. The output is one table per published table, and one line of
JSON. `--shapes` adds other shapes of the prior, and the shape that is chosen within the history alone. It takes four minutes of
one core.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np

from benchmarks.cell_choice import measure
from benchmarks.history_prior import SHAPE, HistoryPrior, Shape
from benchmarks.history_scale import odds_above_chance
from benchmarks.history_tables import PublishedHistory, read_histories, without
from itm.agreement import Interval
from itm.benchmark.predictors import mean_rank_elsewhere

FACTS = Path(__file__).resolve().parents[2] / "shared" / "facts"
CELLS = (0, 1, 3, 5)
HEADLINE = 3
INNER = (2, 3, 4, 5)  # cells whose mean regret chooses a shape: one number of cells on few data sets is mostly luck
CHANGES: dict[str, tuple[float, float]] = {
    "in_common": (0.5, 2.0),
    "alike": (0.25, 1.0),
    "from_facts": (0.5, 0.95),
    "strength": (3.0, 12.0),
    "lowest": (-1.0, -4.0),
}
NESTED = (SHAPE, replace(SHAPE, alike=0.0), replace(SHAPE, alike=1.0), replace(SHAPE, lowest=-1.0), replace(SHAPE, lowest=-4.0))

Regrets = Mapping[str, np.ndarray]  # by method, in points, [data sets, numbers of cells]


def history_regret(
    table: PublishedHistory, column: int, hidden: Sequence[int], shape: Shape, cells: Sequence[int]
) -> np.ndarray:
    """Return the regret in points on one data set for each number of cells, with the data sets `hidden` also left out.

    Only models with an accuracy on this data set can be picked. Without a cell the pick has the highest expected accuracy, and
    then it is the best of those measured, since only these have a checkpoint.
    """
    truth = table.history.accuracies[:, column]
    rows = np.flatnonzero(np.isfinite(truth))
    prior = HistoryPrior.fit(without(table.history, column, *hidden), table.facts, shape)
    facts = table.history.data[column]
    mean, covariance = prior.predict([table.history.models[row] for row in rows], facts)
    seen = measure(mean, covariance, odds_above_chance(truth[rows], facts.classes), max(cells))
    picks = [truth[rows[seen[:number]]].max() if number else truth[rows[np.argmax(mean)]] for number in cells]
    return 100 * (truth[rows].max() - np.array(picks))


def replay(table: PublishedHistory, shape: Shape = SHAPE, cells: Sequence[int] = CELLS) -> np.ndarray:
    """Return the regret of the history on each left-out data set, [data sets, numbers of cells]."""
    return np.stack([history_regret(table, column, (), shape, cells) for column in range(len(table.data_sets))])


def nested_replay(table: PublishedHistory, shapes: Sequence[Shape] = NESTED) -> np.ndarray:
    """Return the same as `replay` with the shape that is best within the history, for each left-out data set anew."""
    return np.stack([_nested(table, column, shapes) for column in range(len(table.data_sets))])


def _nested(table: PublishedHistory, column: int, shapes: Sequence[Shape]) -> np.ndarray:
    inner = [other for other in range(len(table.data_sets)) if other != column]
    regret = [np.mean([history_regret(table, other, (column,), shape, INNER).mean() for other in inner]) for shape in shapes]
    return history_regret(table, column, (), shapes[int(np.argmin(regret))], CELLS)


def blind_regret(table: PublishedHistory) -> np.ndarray:
    """Return the regret of the best of the k models with the best mean rank on the other data sets; of the first for k = 0."""
    truth = table.history.accuracies.T
    orders = mean_rank_elsewhere(truth)
    regrets = []
    for own, ranks in zip(truth, orders, strict=True):
        rows = np.flatnonzero(np.isfinite(own) & np.isfinite(ranks))
        best = own[rows[np.argsort(-ranks[rows], kind="stable")]]
        regrets.append([np.nanmax(own) - best[: max(number, 1)].max() for number in CELLS])
    return 100 * np.array(regrets)


def random_regret(table: PublishedHistory) -> np.ndarray:
    """Return the expected regret of the best of k random models; of one for k = 0."""
    regrets = []
    for own in table.history.accuracies.T:
        ordered = np.sort(own[np.isfinite(own)])
        for number in CELLS:
            size = max(number, 1)
            chances = np.array([comb(place, size - 1) / comb(len(ordered), size) for place in range(len(ordered))])
            regrets.append(ordered[-1] - ordered @ chances)
    return 100 * np.array(regrets).reshape(-1, len(CELLS))


def paired_interval(regrets: np.ndarray, others: np.ndarray, resamples: int = 10_000, seed: int = 0) -> Interval:
    """Return the mean difference of two regrets [data sets] with its 95 % interval; data sets are resampled."""
    difference = regrets - others
    means = difference[np.random.default_rng(seed).integers(len(difference), size=(resamples, len(difference)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(difference.mean()), float(low), float(high))


def headline_regrets(folder: Path) -> dict[str, float]:
    """Return the regret in points after `HEADLINE` fine-tuned models, for each published table."""
    column = CELLS.index(HEADLINE)
    return {
        f"{table.name.lower()}_regret_k{HEADLINE}": round(float(replay(table)[:, column].mean()), 2)
        for table in read_histories(folder)
    }


def report(table: PublishedHistory, shapes: bool) -> tuple[list[str], Regrets]:
    """Return the lines of the table of one published table, and the regrets behind them."""
    regrets = {"history": replay(table), "target-blind": blind_regret(table), "random": random_regret(table)}
    if shapes:
        regrets["history, nested"] = nested_replay(table)
    return [*_lines(table, regrets), *(_other_shapes(table) if shapes else ())], regrets


def _lines(table: PublishedHistory, regrets: Regrets) -> Iterator[str]:
    known = int(np.isfinite(table.history.accuracies).sum())
    yield f"## {table.name}: {len(table.history.models)} models on {len(table.data_sets)} data sets, {known} accuracies\n"
    yield "| mean regret in points | " + " | ".join(f"k = {number}" for number in CELLS) + f" | to history at k = {HEADLINE} |"
    yield "|---" * (len(CELLS) + 2) + "|"
    headline = CELLS.index(HEADLINE)
    for name, own in regrets.items():
        gap = paired_interval(own[:, headline], regrets["history"][:, headline])
        against = f"{gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]" if name != "history" else ""
        yield f"| {name} | " + " | ".join(f"{value:.2f}" for value in own.mean(axis=0)) + f" | {against} |"
    yield f"\n| regret at k = {HEADLINE} | history | target-blind |\n|---|---|---|"
    for row, name in enumerate(table.data_sets):
        yield f"| {name} | {regrets['history'][row, headline]:.1f} | {regrets['target-blind'][row, headline]:.1f} |"


def _other_shapes(table: PublishedHistory) -> Iterator[str]:
    yield "\n| shape | " + " | ".join(f"k = {number}" for number in CELLS) + " |"
    yield "|---" * (len(CELLS) + 1) + "|"
    changed = {f"{name} {value:g}": replace(SHAPE, **{name: value}) for name, values in CHANGES.items() for value in values}
    for name, shape in {**changed, "data sets unrelated": replace(SHAPE, alike=0.0)}.items():
        yield f"| {name} | " + " | ".join(f"{value:.2f}" for value in replay(table, shape).mean(axis=0)) + " |"


def main() -> None:
    """Print the tables and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("facts", type=Path, nargs="?", default=FACTS)
    parser.add_argument("--shapes", action="store_true")
    arguments = parser.parse_args()
    figures = {}
    for table in read_histories(arguments.facts):
        lines, regrets = report(table, arguments.shapes)
        print(*lines, "", sep="\n", flush=True)
        for name, own in regrets.items():
            prefix = f"{table.name.lower()}_" + ("" if name == "history" else name.split()[-1].replace("-", "_") + "_")
            for number, value in zip(CELLS, own.mean(axis=0), strict=True):
                figures[f"{prefix}regret_k{number}"] = round(float(value), 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
