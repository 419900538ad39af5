"""LogME: the evidence of a Bayesian linear model from embeddings to targets.

Source: You, Liu, Wang, Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021, eq. (2).
"""

import numpy as np

from itm.scores.base import CLASSES, Options, ScoreInfo, StatisticScore
from itm.scores.common.evidence import mean_evidence
from itm.scores.registry import register
from itm.scores.sample import Sample


@register
class Logme(StatisticScore[Options]):
    """The maximal log evidence per row of the target: the mean over one-hot classes, or that of the standardised numbers."""

    info = ScoreInfo(
        name="logme",
        summary="Evidence of a Bayesian linear model from the embeddings to the targets.",
        meaning="How probable the targets are under a linear model, averaged over its weights; in nats per image and class. "
        "Only differences between models have a meaning.",
        paper="You et al., ICML 2021",
        cost="the shared eigendecomposition",
        kinds=(*CLASSES, "regression"),
    )

    def value(self, sample: Sample) -> float:
        """Return the evidence in nats; `itm.scores.common.evidence` derives it."""
        statistics = sample.statistics
        weights = mean_squares = statistics.shares
        means, products = np.ones(statistics.classes), statistics.centres
        if sample.kind.name == "regression":  # of the standardised target: neither its unit nor its zero may matter
            target = (sample.targets - sample.targets.mean()) / sample.targets.std()
            weights, mean_squares, means = np.ones(1), np.ones(1), np.zeros(1)
            products = statistics.mean_products(target[:, None])
        return mean_evidence(
            rows=statistics.n,
            weights=weights,
            means=means,
            products=products,
            mean_squares=mean_squares,
            values=statistics.values,
            mean_coordinates=statistics.mean_coordinates,
            mean_square=float(statistics.mean @ statistics.mean),
            total_variance=statistics.total_variance,
        )
