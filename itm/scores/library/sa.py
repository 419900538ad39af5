"""SA, spread and attract: LDA after classes have been made wider and drawn nearer to each other.

Source: Khoba, Wang, Arora, Baktashmotlagh, "Feature Space Perturbation: A Panacea to Enhanced Transferability Estimation",
WACV 2025.
"""

from dataclasses import dataclass

import numpy as np

from itm.scores.common.discriminant import intensity, nearest_mean, solved
from itm.scores.common.principal import principal
from itm.scores.common.statistics import BLOCK, Statistics, membership
from itm.scores.evaluate import Definition, Sample, register
from itm.scores.library.lda import nearest_mean_posterior
from itm.scores.library.ped import pairs

AXES = 64
ATTRACTION = 0.005  # of the gap between two classes, each of which moves by it
EXTENT = 0.6  # of a class's radius
GATE = np.log(1e9) / 5  # mean of the two largest eigenvalues below which the public code moves nothing
AT_CENTRE = 1e-8  # of the unit: a row this near its class's centre has no direction


@dataclass(frozen=True)
class SaOptions:
    """`reference` is what the public code computes: classes that are apart go further apart, and nothing spreads."""

    reference: bool = False


def sa(sample: Sample, options: SaOptions) -> float:
    """Return the mean posterior of the true class, as `lda` has it, of rows that have been moved.

    In the first 64 principal coordinates,

    - spread: every row moves by one unit away from its class's centre;
    - attract: of each two classes each moves by 0.005 of their gap along the line of their centres, towards the other where the
      gap is positive. The gap is the distance of the centres less 0.6 of both radii, R_c the root of the summed variances of
      class c; centres and radii are those of the rows that have spread.

    The unit is the root of the mean variance along the axes kept, so that the features' own does not matter; as published it is
    1, in whatever unit the features have. The 0.005 is as published too, and a class's moves add up: 200 classes whose gaps are
    much larger than their radii would all meet at one point, and hundreds that overlap, so that gaps are negative, are torn
    apart.

    The public code differs in four ways. It moves nothing where exp(-5 l) >= 1e-9, l the mean of the two largest eigenvalues of
    the covariance; that depends on the unit and is a jump, and is dropped here. It hands to attract what it had before spread.
    A positive gap drives classes apart, as the sign is that of PED. And its LDA is nearest class mean. Its 64 axes come from a
    randomised decomposition, those here from the exact one.
    """
    statistics = sample.statistics
    if options.reference and statistics.values[:2].sum() / min(2, statistics.d) <= GATE:
        return nearest_mean_posterior(statistics, np.zeros_like(statistics.centres))
    labels, shares = statistics.labels, statistics.shares
    rows = principal(statistics, AXES).rows()
    means = _means(rows, statistics)
    _add(rows, -means, labels)
    if not options.reference:
        _lengthen(rows, float(np.sqrt(statistics.values[:AXES].mean())) if statistics.rank else 0.0)
        drift = _means(rows, statistics)
        _add(rows, -drift, labels)
        means += drift
    squares = np.einsum("ij,ij->i", rows, rows)
    radii = np.sqrt(np.bincount(labels, squares) / statistics.counts)
    means += (-ATTRACTION if options.reference else ATTRACTION) * _towards_others(means, EXTENT * radii)
    if options.reference:
        model = nearest_mean(means, shares)
    else:
        scatter = rows.T @ rows / statistics.n
        total = float(scatter.trace() + shares @ ((means - shares @ means) ** 2).sum(axis=1))
        shrinkage = intensity(squares, float((scatter**2).sum()), len(scatter))
        model = solved(scatter, total, means, shares, shrinkage, len(scatter))
    _add(rows, means, labels)
    return float(model.posterior([(slice(0, len(rows)), rows)], labels).mean())


def _means(rows: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Return the mean [C, k] of each class's rows."""
    return np.asarray(membership(statistics.labels, statistics.classes) @ rows / statistics.counts[:, None])


def _add(rows: np.ndarray, of_classes: np.ndarray, labels: np.ndarray) -> None:
    """Add to every row what belongs to its class, in place and in blocks."""
    size = max(1, BLOCK // max(rows.shape[1], 1))
    for start in range(0, len(rows), size):
        rows[start : start + size] += of_classes[labels[start : start + size]]


def _lengthen(rows: np.ndarray, unit: float) -> None:
    """Make every row longer by a unit, in place; one that is zero but for rounding has no direction and stays."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    rows *= (1 + np.divide(unit, lengths, out=np.zeros_like(lengths), where=lengths > AT_CENTRE * unit))[:, None]


def _towards_others(means: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return the sum [C, k] of the gaps between each class and all others, each along the line from it to the other."""
    middle = means.mean(axis=0)
    lines, distances = pairs((means - middle) @ (means - middle).T)
    gaps = (distances - np.add.outer(radii, radii)) * lines
    return np.asarray(gaps @ means - gaps.sum(axis=1)[:, None] * means)


SA = register(
    Definition(
        name="sa",
        function=sa,
        options=SaOptions(),
        sampling="subset",
        summary="LDA after rows have spread away from their class's centre and the centres have drawn together.",
        meaning="How sure a linear discriminant is of an image's true class once classes are wider and nearer to each other: "
        "whether there is something to spare in what tells them apart.",
        lowest=0.0,
        highest=1.0,
        paper="Khoba et al., WACV 2025",
        cost="the shared eigendecomposition",
    )
)
