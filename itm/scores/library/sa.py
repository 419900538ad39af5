"""SA, spread and attract: LDA after classes have been widened and moved nearer to each other.

Source: Khoba, Wang, Arora, Baktashmotlagh, "Feature Space Perturbation: A Panacea to Enhanced Transferability Estimation",
WACV 2025.
"""

import numpy as np

from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.discriminant import intensity, solved
from itm.scores.common.principal import principal
from itm.scores.common.statistics import BLOCK, Statistics, membership
from itm.scores.library.ped import pairs
from itm.scores.registry import register
from itm.scores.sample import Sample

AXES = 64
ATTRACTION = 0.005  # of the gap between two classes: how far each of them moves
EXTENT = 0.6  # of a class's radius
AT_CENTRE = 1e-8  # relative to the unit: a row this near the centre of its class has no direction


@register
class Sa(StatisticScore[Options]):
    """The mean posterior of the true class, as in `lda`, of rows that have been moved."""

    info = ScoreInfo(
        name="sa",
        summary="LDA after rows have spread away from the centre of their class and the centres have moved together.",
        meaning="How sure a linear discriminant is of an image's true class once classes are wider and nearer to each other: "
        "whether their separation has a margin.",
        lowest=0.0,
        highest=1.0,
        paper="Khoba et al., WACV 2025",
        cost="the shared eigendecomposition",
    )

    def value(self, sample: Sample) -> float:
        """Return the mean posterior.

        In the first 64 principal coordinates:

        - spread: every row moves by one unit away from the centre of its class;
        - attract: of each two classes each moves by 0.005 of their gap along the line of their centres, towards the other if
          the gap is positive. The gap is the distance of the centres minus 0.6 of both radii; R_c is the root of the summed
          variances of class c. Centres and radii are those of the rows after spreading.

        The unit is the root of the mean variance along the axes kept, so the unit of the features does not matter; as published
        it is 1. The 0.005 is as published. The moves of a class add up: 200 classes whose gaps are much larger than their radii
        would all meet in one point, and hundreds that overlap, with negative gaps, are driven apart.

        The public code differs in four ways. It moves nothing where exp(-5 l) >= 1e-9, l being the mean of the two largest
        eigenvalues of the covariance; this depends on the unit and is a jump. Its attract step gets the rows before spreading.
        A positive gap drives classes apart, since the sign is that of PED. Its LDA is nearest class mean. Its 64 axes are from
        a randomised decomposition; here they are exact.
        """
        statistics = sample.statistics
        labels, shares = statistics.labels, statistics.shares
        rows = principal(statistics, AXES).rows()
        means = _means(rows, statistics)
        _add(rows, -means, labels)
        _lengthen(rows, float(np.sqrt(statistics.values[:AXES].mean())) if statistics.rank else 0.0)
        drift = _means(rows, statistics)
        _add(rows, -drift, labels)
        means += drift
        squares = np.einsum("ij,ij->i", rows, rows)
        radii = np.sqrt(np.bincount(labels, squares) / statistics.counts)
        means += ATTRACTION * _towards_others(means, EXTENT * radii)
        scatter = rows.T @ rows / statistics.n
        total = float(scatter.trace() + shares @ ((means - shares @ means) ** 2).sum(axis=1))
        shrinkage = intensity(squares, float((scatter**2).sum()), len(scatter))
        model = solved(scatter, total, means, shares, shrinkage, len(scatter))
        _add(rows, means, labels)
        return float(model.posterior([(slice(0, len(rows)), rows)], labels).mean())


def _means(rows: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Return the mean [C, k] of the rows of each class."""
    return np.asarray(membership(statistics.labels, statistics.classes) @ rows / statistics.counts[:, None])


def _add(rows: np.ndarray, of_classes: np.ndarray, labels: np.ndarray) -> None:
    """Add to every row the vector of its class, in place and in blocks."""
    size = max(1, BLOCK // max(rows.shape[1], 1))
    for start in range(0, len(rows), size):
        rows[start : start + size] += of_classes[labels[start : start + size]]


def _lengthen(rows: np.ndarray, unit: float) -> None:
    """Make every row longer by a unit, in place; a row that is zero but for rounding has no direction and is not changed."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    rows *= (1 + np.divide(unit, lengths, out=np.zeros_like(lengths), where=lengths > AT_CENTRE * unit))[:, None]


def _towards_others(means: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return the sum [C, k] of the gaps between each class and all others, each along the line from it to the other."""
    middle = means.mean(axis=0)
    lines, distances = pairs((means - middle) @ (means - middle).T)
    gaps = (distances - np.add.outer(radii, radii)) * lines
    return np.asarray(gaps @ means - gaps.sum(axis=1)[:, None] * means)
