"""Read the learning curves of the desk for `itm select`: what is fitted on, and what is replayed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from itm.prediction.fit import Curves, Measured
from itm.prediction.observations import Observation
from itm.prediction.prior import FEATURES, PROBES, Known, feature_values
from itm.prediction.scale import to_angle

SHARES = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
RATES = 3


@dataclass(frozen=True)
class Pair:
    """All runs of a model on a data set. `marks` has validation accuracies by rate and seed, and by step.

    `baseline` stands for the accuracy of a run whose loss stopped being finite: the lowest of any run on the data set.
    """

    data: str
    model: str
    images: int
    baseline: float
    steps: int
    known: Known
    marks: dict[tuple[int, int], dict[int, float]]
    tests: dict[tuple[int, int], float]
    seconds: dict[tuple[int, int], float]

    @cached_property
    def best_rate(self) -> int:
        """Return the rate whose first seed is best on validation at the end."""
        return max(range(RATES), key=lambda rate: self.marks[rate, 0].get(self.steps, -1.0))

    @cached_property
    def truth(self) -> float:
        """Return the test accuracy at the best rate, the mean over its seeds."""
        return float(np.mean([value for (rate, _), value in self.tests.items() if rate == self.best_rate]))

    @cached_property
    def run_seconds(self) -> float:
        """Return the seconds of one whole run, the mean over learning rates."""
        return float(np.mean([value for (_, seed), value in self.seconds.items() if seed == 0]))

    def accuracy(self, rate: int, seed: int, share: float) -> float:
        """Return the validation accuracy after a share of the steps, or the baseline if the loss had stopped being finite."""
        return self.marks[rate, seed].get(round(share * self.steps), self.baseline)

    def observation(self, rate: int, seed: int, share: float, grid: tuple[float, ...]) -> Observation:
        """Return the validation result after a share of the steps."""
        return Observation(self.model, grid[rate], seed, share, self.accuracy(rate, seed, share), self.images)


@dataclass(frozen=True)
class Final:
    """The accuracy of a model after fine-tuning on a data set, and what was known of it before."""

    data: str
    known: Known
    accuracy: float


@dataclass(frozen=True)
class Desk:
    """The pairs whose curves were recorded, and the final accuracies of these and of further pairs."""

    pairs: tuple[Pair, ...]
    finals: tuple[Final, ...]
    rates: tuple[float, ...]

    @cached_property
    def data_sets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(pair.data for pair in self.pairs))

    def of(self, data: str) -> tuple[Pair, ...]:
        """Return the pairs of a data set."""
        return tuple(pair for pair in self.pairs if pair.data == data)

    def without(self, data: Collection[str]) -> "Desk":
        """Return the desk without data sets."""
        pairs, finals = (tuple(own for own in group if own.data not in data) for group in (self.pairs, self.finals))
        return Desk(pairs, finals, self.rates)

    @property
    def measured(self) -> Measured:
        """Return what the prior is fitted on: all final accuracies."""
        return _measured(self.finals)

    @property
    def with_curves(self) -> Measured:
        """Return the pairs that the curve model is fitted on."""
        return _measured([Final(pair.data, pair.known, pair.truth) for pair in self.pairs])

    @property
    def curves(self) -> Curves:
        """Return the curves that the curve model is fitted on."""
        shape = (len(self.pairs), RATES, len(SHARES))
        first, second = np.full(shape, np.nan), np.full(shape, np.nan)
        for row, pair in enumerate(self.pairs):
            for rate, seed in pair.marks:
                values = [float(to_angle(pair.accuracy(rate, seed, share))) for share in SHARES]
                (first if seed == 0 else second)[row, rate] = values
        return Curves(self.rates, SHARES, first, second, np.array([pair.images for pair in self.pairs]))


def _measured(finals: Sequence[Final]) -> Measured:
    return Measured(
        feature_values([own.known for own in finals]),
        to_angle(np.array([own.accuracy for own in finals])),
        np.array([own.data for own in finals]),
        np.array([own.known.weights for own in finals]),
    )


def read_desk(folder: Path, protocol: str = "full") -> Desk:
    """Read curves.parquet, accuracies.csv, scores.parquet and models.csv of a folder.

    A pair whose learning rates were not all recorded, or that a probe failed on, is left out.
    """
    curves = pl.read_parquet(folder / "curves.parquet")
    scores = pl.read_parquet(folder / "scores.parquet").filter(pl.col("score").is_in(PROBES), status="ok")
    probes = {
        (data, model, score): value for data, model, score, value in scores.select("data", "model", "score", "value").rows()
    }
    facts = {row["model"]: row for row in pl.read_csv(folder / "models.csv").to_dicts()}
    grids = curves.filter(protocol=protocol).group_by("data").agg(pl.col("learning_rate").unique().sort())["learning_rate"]
    grid = max(list(grids), key=max)  # of data sets with few images per class, all rates are divided by the same number

    def known(data: str, model: str, weights: str) -> Known:
        features = {name: probes[data, model, name] for name in PROBES if (data, model, name) in probes}
        own = {name: facts[model][name] for name in FEATURES if name not in PROBES}
        return Known(model, weights, features | {name: float(value) for name, value in own.items() if value is not None})

    lowest = dict(curves.group_by("data").agg(pl.col("val_accuracy").min()).iter_rows())  # of any run: that of chance
    pairs, finals = [], []
    for (data, model), rows in curves.group_by(["data", "model"], maintain_order=True):
        runs = rows.filter(protocol=protocol)
        if len(runs.filter(seed=0)["learning_rate"].unique()) == RATES and (data, model, PROBES[0]) in probes:
            pairs.append(_pair(str(data), runs, known(str(data), str(model), runs["weights"][0]), lowest[data]))
            finals.append(Final(str(data), pairs[-1].known, pairs[-1].truth))
    recorded = {(pair.data, pair.model) for pair in pairs}
    averages = (
        pl.read_csv(folder / "accuracies.csv")
        .filter(protocol=protocol)
        .group_by("data", "model", "weights", maintain_order=True)
    )
    for data, model, weights, accuracy in averages.agg(pl.col("test_accuracy").mean()).rows():
        if (data, model) not in recorded:
            finals.append(Final(data, known(data, model, weights), accuracy))
    return Desk(tuple(pairs), tuple(finals), tuple(grid))


def _pair(data: str, runs: pl.DataFrame, known: Known, baseline: float) -> Pair:
    rates = sorted(runs["learning_rate"].unique())
    steps = int(runs["step"].max() or 0)  # type: ignore[call-overload]
    marks: dict[tuple[int, int], dict[int, float]] = {}
    tests: dict[tuple[int, int], float] = {}
    seconds: dict[tuple[int, int], float] = {}
    for row in runs.to_dicts():
        run = rates.index(row["learning_rate"]), row["seed"]
        own = marks.setdefault(run, {})
        if row["step"] is None:
            continue
        own[row["step"]] = row["val_accuracy"]
        seconds[run] = row["seconds"]
        if row["step"] == steps and row["finite"]:
            tests[run] = row["test_accuracy"]
    return Pair(data, known.model, runs["val_images"][0], baseline, steps, known, marks, tests, seconds)
