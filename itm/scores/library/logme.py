"""LogME: the evidence of a Bayesian linear model from embeddings to classes.

Source: You, Liu, Wang, Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021, eq. (2).
"""

import numpy as np

from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.evidence import mean_evidence
from itm.scores.registry import register
from itm.scores.sample import Sample


@register
class Logme(StatisticScore[Options]):
    """The mean over classes of the maximal log evidence per row of the one-hot target."""

    info = ScoreInfo(
        name="logme",
        summary="Evidence of a Bayesian linear model from the embeddings to the classes.",
        meaning="How probable the labels are under a linear model, averaged over its weights; in nats per image and class. "
        "Only differences between models have a meaning.",
        paper="You et al., ICML 2021",
        cost="the shared eigendecomposition",
    )

    def value(self, sample: Sample) -> float:
        """Return the evidence in nats; `itm.scores.common.evidence` derives it."""
        statistics = sample.statistics
        return mean_evidence(
            rows=statistics.n,
            weights=statistics.shares,
            means=np.ones(statistics.classes),
            products=statistics.centres,
            mean_squares=statistics.shares,
            values=statistics.values,
            mean_coordinates=statistics.mean_coordinates,
            mean_square=float(statistics.mean @ statistics.mean),
            total_variance=statistics.total_variance,
        )
