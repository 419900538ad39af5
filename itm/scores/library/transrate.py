"""TransRate: how much shorter a code for the embeddings becomes once their classes are known.

Source: Huang, Huang, Rong, Yang, Wei, "Frustratingly Easy Transferability Estimation", ICML 2022.
"""

import numpy as np
from pydantic import Field

from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.statistics import Statistics
from itm.scores.registry import register
from itm.scores.sample import Sample


class TransrateOptions(Options):
    """The squared `distortion` that the code may have, relative to the total variance."""

    distortion: float = Field(1e-4, gt=0, allow_inf_nan=False)


@register
class Transrate(StatisticScore[TransrateOptions]):
    """R(F) - sum_c share_c R(F_c), where F_c are the rows of class c and R is the coding rate."""

    options_type = TransrateOptions
    info = ScoreInfo(
        name="transrate",
        summary="Coding rate of the embeddings minus the mean coding rate within classes.",
        meaning="How many nats an image's embedding says about its class under a Gaussian code; 0 is nothing. Compare "
        "models on the same images only: with few images per class every score is high.",
        paper="Huang et al., ICML 2022",
        cost="n d min(n / C, d)",
    )

    def value(self, sample: Sample) -> float:
        """Return the difference in nats, at least 0. R(Z) = 1/2 log det(I + Z^T Z / (m e)) for the m rows of Z.

        Rows are relative to the mean of all rows, and the total variance tr(F^T F) / n is made 1: on raw features the score of
        one model is 16 or 1902, depending on their unit. log det is concave, so no division into classes gives less than 0
        if the weights are the shares of the classes. det(I + Z^T Z / (m e)) equals det(I + Z Z^T / (m e)); the smaller matrix
        is used.

        F_c is not centred at its own mean. So two classes of equal size that differ in nothing but their means score 0, and the
        distance of classes counts the more, the more classes there are. A class with fewer rows than directions has a short
        code for any model: with few images per class, scores are high.
        """
        statistics = sample.statistics
        if not statistics.rank:
            return 0.0
        distortion = self.options.distortion * statistics.total_variance
        rate = float(np.log1p(statistics.values / distortion).sum()) / 2
        rates = [_rate_of(statistics, label, distortion) for label in range(statistics.classes)]
        return rate - float(statistics.shares @ rates)


def _rate_of(statistics: Statistics, label: int, distortion: float) -> float:
    """Return R of the rows of one class."""
    count = int(statistics.counts[label])
    blocks = statistics.rows_of(label)
    first = next(blocks)
    if count <= first.shape[1]:
        rows = np.concatenate([first, *blocks])
        gram = rows @ rows.T
    else:
        gram = first.T @ first
        for block in blocks:
            gram += block.T @ block
    return float(np.linalg.slogdet(np.eye(len(gram)) + gram / (count * distortion))[1]) / 2
