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
    """The maximal log evidence per row of a target: the mean over one-hot classes, labels or standardised numbers."""

    info = ScoreInfo(
        name="logme",
        summary="Evidence of a Bayesian linear model from the embeddings to the targets.",
        meaning="How probable the targets are under a linear model, averaged over its weights; in nats per image and class. "
        "Only differences between models have a meaning.",
        paper="You et al., ICML 2021",
        cost="the shared eigendecomposition",
        kinds=(*CLASSES, "multilabel", "regression"),
    )

    def value(self, sample: Sample) -> float:
        """Return the evidence in nats; `itm.scores.common.evidence` derives it."""
        statistics = sample.statistics
        weights = mean_squares = statistics.shares
        means, products = np.ones(statistics.classes), statistics.centres
        if sample.kind.name == "multilabel":
            shares = sample.targets.mean(axis=0)
            known = (shares > 0) & (shares < 1)  # a label that all rows or none of them have says nothing
            weights = mean_squares = shares[known]
            means, products = np.ones(len(weights)), statistics.mean_products(sample.targets[:, known] / weights)
        if sample.kind.name == "regression":  # of standardised targets: neither their unit nor their zero may matter
            targets = sample.targets.reshape(statistics.n, -1)
            targets = (targets - targets.mean(axis=0)) / targets.std(axis=0)
            weights, mean_squares, means = np.ones(targets.shape[1]), np.ones(targets.shape[1]), np.zeros(targets.shape[1])
            products = statistics.mean_products(targets)
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
