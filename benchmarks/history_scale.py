"""The scale of records: log-odds above chance, relative to the middle and the spread of a data set."""

from dataclasses import dataclass

import numpy as np

FLOOR, CEILING = 0.02, 0.995  # of the share above chance: odds beyond these say nothing about another data set
USUAL_SPREAD, USUAL_DEVIATION = 0.5, 1.0  # log-odds, of the models of a data set and of the middles of data sets


@dataclass(frozen=True, eq=False)
class Standard:
    """Records [m, d] in spreads from the middle of their data set, NaN where unknown; middles and spreads [d], in log-odds."""

    values: np.ndarray
    middles: np.ndarray
    spreads: np.ndarray

    def middle(self) -> tuple[float, float]:
        """Return the expected middle of a new data set and its variance. One imagined data set keeps the variance above 0."""
        variance = np.square(self.middles - self.middles.mean()).sum() + USUAL_DEVIATION**2
        return float(np.median(self.middles)), float(variance / len(self.middles))

    def spread(self) -> float:
        """Return the expected spread of a new data set."""
        return float(np.median(self.spreads))


def odds_above_chance(accuracy: np.ndarray, classes: int | None) -> np.ndarray:
    """Return log-odds of the share of the way from chance to 1, which accuracies cover. Accuracies are shares of 1.

    Without a number of classes, these are the log-odds of the accuracy itself.
    """
    chance = 1 / classes if classes else 0.0
    share = np.clip((np.asarray(accuracy, dtype=np.float64) - chance) / (1 - chance), FLOOR, CEILING)
    return np.asarray(np.log(share / (1 - share)))


def standardise(odds: np.ndarray, lowest: float, shifts: np.ndarray | None = None) -> Standard:
    """Return records [m, d] on the scale on which data sets are comparable. Each data set needs a record.

    The middle is the median, and the spread is that of the better half: between good models is where a choice is made, and
    failed runs would hide their differences. Values below `lowest` spreads are raised to it. `shifts` [d], in spreads, move the
    middles of data sets on which only the better or the worse models have a record.
    """
    middles = np.nanmedian(odds, axis=0)
    above = np.square(np.where(odds >= middles, odds - middles, np.nan))
    counts = np.isfinite(above).sum(axis=0)
    spreads = np.sqrt((np.nansum(above, axis=0) + USUAL_SPREAD**2) / (counts + 1))
    if shifts is not None:
        middles = middles + shifts * spreads
    return Standard(np.maximum((odds - middles) / spreads, lowest), middles, spreads)
