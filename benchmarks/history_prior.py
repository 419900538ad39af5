"""What accuracies of models on earlier data sets say of their accuracies on a new one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.history_scale import Standard, odds_above_chance, standardise
from benchmarks.matrix_normal import MatrixNormal, fill
from benchmarks.similarity import Facts, similarity
from itm.core.errors import DataError


@dataclass(frozen=True)
class Shape:
    """How much models, and data sets, are expected to have in common before any record.

    `in_common` is the covariance of any two data sets, `alike` what data sets of equal facts share in addition, and each has a
    variance of 1 of its own. `from_facts` is the share of a model's variance that it shares with models of equal facts, which
    is worth `strength` data sets. `lowest` is the worst record that is believed, in spreads from the middle of a data set: how
    far below it a failed run ends is an accident.
    """

    in_common: float = 1.0
    alike: float = 0.5
    from_facts: float = 0.8
    strength: float = 6.0
    lowest: float = -2.0


SHAPE = Shape()


@dataclass(frozen=True)
class DataFacts:
    """Facts of a data set: its number of classes, and others by name, such as its kind."""

    classes: int | None = None
    others: Facts = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class History:
    """Accuracies of models on earlier data sets, [m, d], as shares of 1 and NaN where unknown. `data` has facts of each set."""

    models: tuple[str, ...]
    data: tuple[DataFacts, ...]
    accuracies: np.ndarray

    def __post_init__(self) -> None:
        shape, expected = np.shape(self.accuracies), (len(self.models), len(self.data))
        if shape != expected:
            raise DataError(f"the history has {expected[0]} models and {expected[1]} data sets, but accuracies {shape}.")
        if len(set(self.models)) < len(self.models):
            twice = next(name for name in self.models if self.models.count(name) > 1)
            raise DataError(f"the history has the model {twice!r} twice; give each of its checkpoints a name of its own.")
        known = np.asarray(self.accuracies)[np.isfinite(self.accuracies)]
        if known.size and (known.min() < 0 or known.max() > 1):
            raise DataError(f"the history has accuracies of {known.min():g} to {known.max():g}; divide percent by 100.")


@dataclass(frozen=True, eq=False)
class HistoryPrior:
    """The joint distribution of the accuracies of models on a new data set, given their accuracies on earlier ones."""

    history: History
    facts: Mapping[str, Facts]
    shape: Shape = SHAPE

    @classmethod
    def fit(cls, history: History, facts: Mapping[str, Facts] | None = None, shape: Shape = SHAPE) -> "HistoryPrior":
        """Return the prior of a history. Data sets without any accuracy are left out.

        Parameters
        ----------
        history
            At least one accuracy.
        facts
            Facts of models by name, such as architecture family (text), parameters (number) and pre-training data (text).
            Models without facts are not similar to others; models need no record.
        shape
            What is expected before any record.

        Raises
        ------
        DataError
            If the history has no accuracy.
        """
        used = np.isfinite(history.accuracies).any(axis=0)
        if not used.any():
            raise DataError("the history has no accuracy; use a prior without history until one data set was fine-tuned on.")
        data = tuple(own for own, keep in zip(history.data, used, strict=True) if keep)
        return cls(History(history.models, data, np.asarray(history.accuracies, dtype=np.float64)[:, used]), facts or {}, shape)

    def predict(self, models: Sequence[str], data_facts: DataFacts | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return mean [m] and covariance [m, m] of the accuracies of `models` on a new data set.

        Both are in log-odds above chance (`history_scale.odds_above_chance`), which are plain log-odds if no data set has a
        number of classes. The covariance includes that the difficulty of the new data set is unknown.
        """
        new = data_facts or DataFacts()
        names = list(dict.fromkeys([*self.history.models, *models]))
        standard, table = self._fitted(names)
        relation = self._relation([*self.history.data, new])
        mean, covariance = table.predict(relation[:-1, -1], float(relation[-1, -1]))
        rows = [names.index(name) for name in models]
        middle, uncertainty = standard.middle()
        spread = standard.spread()
        return middle + spread * mean[rows], spread**2 * covariance[np.ix_(rows, rows)] + uncertainty

    def _fitted(self, names: Sequence[str]) -> tuple[Standard, MatrixNormal]:
        """Return the records of `names` on a common scale, and their table without gaps.

        The first names are those of the history. The middle of a data set is that of its known records first, and then that of
        all models of the history.
        """
        accuracies, data = self.history.accuracies, self.history.data
        odds = np.full((len(names), len(data)), np.nan)
        for column, own in enumerate(data):
            odds[: len(accuracies), column] = odds_above_chance(accuracies[:, column], own.classes)
        alike = similarity([self.facts.get(name, {}) for name in names])
        shape = self.shape
        prior = shape.from_facts * alike + (1 - shape.from_facts) * np.eye(len(names))
        relation = self._relation(data)
        first = standardise(odds, shape.lowest)
        table = fill(first.values, prior, relation, shape.strength)
        if np.isfinite(first.values[: len(accuracies)]).all():
            return first, table
        second = standardise(odds, shape.lowest, shifts=np.median(table.values[: len(accuracies)], axis=0))
        return second, fill(second.values, prior, relation, shape.strength)

    def _relation(self, data: Sequence[DataFacts]) -> np.ndarray:
        """Return the covariance of data sets, [d, d]."""
        return self.shape.in_common + self.shape.alike * similarity([own.others for own in data]) + np.eye(len(data))
