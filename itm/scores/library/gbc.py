"""GBC: how much the classes overlap, each taken for a Gaussian.

Source: Pándy, Agostinelli, Uijlings, Ferrari, Mensink, "Transferability Estimation using Bhattacharyya Class Separability",
CVPR 2022.
"""

from dataclasses import dataclass

import numpy as np

from itm.core.errors import ParamsError, ScoreError
from itm.scores.common.principal import Principal, principal
from itm.scores.evaluate import Definition, Sample, register

OFFSET = 1e-5  # added to determinants by the public code that `reference` follows


@dataclass(frozen=True)
class GbcOptions:
    """The principal `dimensions` that are looked at, and the least variance of a class as a share of the mean variance in them.

    `reference` takes full covariances and adds 1e-5 to their determinants, as the public code of Model-Spider does.
    """

    dimensions: int = 64
    variance_floor: float = 1e-4
    reference: bool = False

    def __post_init__(self) -> None:
        if self.dimensions < 1 or not 0 < self.variance_floor < np.inf:
            raise ParamsError(
                f"gbc needs dimensions >= 1 and variance_floor > 0, not {self.dimensions} and {self.variance_floor}."
            )


def gbc(sample: Sample, options: GbcOptions) -> float:
    """Return - sum_{a != b} exp(-D_ab), D being the Bhattacharyya distance of spherical Gaussians in k principal dimensions.

    With a class's centre c and v the mean of its variances in the k dimensions,

        D_ab = |c_a - c_b|^2 / (8 u) + k / 2 (log u - log v_a / 2 - log v_b / 2),    u = (v_a + v_b) / 2.

    Both parts are at least 0, so that -C (C - 1) <= score <= 0, and published values below that come from a D below 0 (see
    `reference`). The logarithm stands k times, once a dimension; other public code counts it once. Variances are floored at a
    share of the mean variance, so that the unit of the features does not matter, and a class of one image has a size. Where the
    rows reach fewer dimensions than asked for, k is what they reach: a wider space without information must not change a score.
    """
    statistics = sample.statistics
    space = principal(statistics, options.dimensions)
    if options.reference:
        return _of_full_covariances(space)
    if not space.dimensions:
        return float(-statistics.classes * (statistics.classes - 1))
    mean_variance = space.variances.mean()
    variances = np.bincount(statistics.labels, space.residual_squares()) / statistics.counts / space.dimensions
    variances = np.maximum(variances / mean_variance, options.variance_floor)
    centres, logs = space.centres / np.sqrt(mean_variance), np.log(variances)
    overlap = 0.0
    for one in range(1, statistics.classes):
        average = (variances[:one] + variances[one]) / 2
        distance = np.square(centres[:one] - centres[one]).sum(axis=1) / average / 8
        distance += space.dimensions / 2 * (np.log(average) - (logs[:one] + logs[one]) / 2)
        overlap += float(np.exp(-np.maximum(distance, 0.0)).sum())
    return 0.0 - 2 * overlap  # and not -0.0


def _of_full_covariances(space: Principal) -> float:
    """Return what Model-Spider's code computes, from full covariances (dividing by n_c - 1) and determinants.

    There, with o = 1e-5, d = c_a - c_b and U the mean of the two covariances V,

        D = d^T pinv(U) d / 8 + log(o + |det U| / (o + (o + det V_a det V_b)^(1/2))) / 2.

    In 64 dimensions the determinants of ordinary features vanish beside o, and the logarithm is log 1e-5 whatever the classes
    are. So D is 5.8 less than the means alone say, and the score 316 times what it should be. Takes C^2 / 2 pseudo-inverses.
    """
    statistics, centres = space.statistics, space.centres
    if statistics.counts.min() < 2:
        raise ScoreError(
            "gbc: a class has one image only, and the public code needs two for its variance; leave out reference."
        )
    covariances = np.zeros((statistics.classes, space.dimensions, space.dimensions))
    for label, scatter in enumerate(covariances):
        for block in statistics.rows_of(label):
            residual = block @ space.axes - centres[label]
            scatter += residual.T @ residual
        scatter /= statistics.counts[label] - 1
    determinants = np.linalg.det(covariances)
    score = 0.0
    for one in range(statistics.classes):
        for other in range(one):
            average, difference = (covariances[one] + covariances[other]) / 2, centres[one] - centres[other]
            volume = OFFSET + np.sqrt(OFFSET + determinants[one] * determinants[other])
            logarithm = np.log(OFFSET + abs(np.linalg.det(average)) / volume)
            score -= 2 * float(np.exp(-difference @ np.linalg.pinv(average, hermitian=True) @ difference / 8 - logarithm / 2))
    return score


GBC = register(
    Definition(
        name="gbc",
        function=gbc,
        options=GbcOptions(),
        sampling="subset",
        summary="How little classes overlap, each taken for a spherical Gaussian in 64 principal dimensions.",
        meaning="Minus the overlap of the classes, summed over all pairs of them: 0 if no two meet, -C (C - 1) if all lie upon "
        "each other. Only a class's distance and size count, not its shape.",
        highest=0.0,
        paper="Pándy et al., CVPR 2022",
        cost="64 n d",
    )
)
