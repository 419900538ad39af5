"""GBC: how much the classes overlap if each is a Gaussian.

Source: Pándy, Agostinelli, Uijlings, Ferrari, Mensink, "Transferability Estimation using Bhattacharyya Class Separability",
CVPR 2022.
"""

import numpy as np
from pydantic import Field

from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.principal import principal
from itm.scores.registry import register
from itm.scores.sample import Sample


class GbcOptions(Options):
    """The number of principal `dimensions`, and the smallest variance of a class relative to the mean variance in them."""

    dimensions: int = Field(64, ge=1)
    variance_floor: float = Field(1e-4, gt=0, allow_inf_nan=False)


@register
class Gbc(StatisticScore[GbcOptions]):
    """Minus the sum over pairs of classes of exp(-D), where D is the Bhattacharyya distance of spherical Gaussians."""

    options_type = GbcOptions
    info = ScoreInfo(
        name="gbc",
        summary="How little classes overlap, each modelled as a spherical Gaussian in 64 principal dimensions.",
        meaning="Minus the overlap of the classes, summed over all pairs of them: 0 if none overlap, -C (C - 1) if all "
        "coincide. Only the distance and size of a class count, not its shape.",
        highest=0.0,
        paper="Pándy et al., CVPR 2022",
        cost="64 n d",
    )

    def value(self, sample: Sample) -> float:
        """Return -sum_{a != b} exp(-D_ab), from -C (C - 1) to 0.

        In k principal dimensions, with class centres c and v_a the mean of the variances of class a,

            D_ab = |c_a - c_b|^2 / (8 u) + k / 2 (log u - log v_a / 2 - log v_b / 2),    u = (v_a + v_b) / 2.

        Both parts are at least 0. The logarithm counts once per dimension; some public code counts it once in all. Variances
        have a floor relative to the mean variance: the unit of the features does not matter, and a class of one image has a
        size. If the rank is below `dimensions`, k is the rank: a wider space without information must not change a score.
        """
        statistics = sample.statistics
        space = principal(statistics, self.options.dimensions)
        if not space.dimensions:
            return float(-statistics.classes * (statistics.classes - 1))
        mean_variance = space.variances.mean()
        variances = np.bincount(statistics.labels, space.residual_squares()) / statistics.counts / space.dimensions
        variances = np.maximum(variances / mean_variance, self.options.variance_floor)
        centres, logs = space.centres / np.sqrt(mean_variance), np.log(variances)
        overlap = 0.0
        for one in range(1, statistics.classes):
            average = (variances[:one] + variances[one]) / 2
            distance = np.square(centres[:one] - centres[one]).sum(axis=1) / average / 8
            distance += space.dimensions / 2 * (np.log(average) - (logs[:one] + logs[one]) / 2)
            overlap += float(np.exp(-np.maximum(distance, 0.0)).sum())
        return 0.0 - 2 * overlap  # 0.0 and not -0.0
