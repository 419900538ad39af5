"""NCTI: how near the embeddings are to neural collapse, the state in which training on the classes would end.

Source: Wang, Luo, Zheng, Huang, Baktashmotlagh, "How Far Pre-trained Models Are from Neural Collapse on the Target Dataset
Informs their Transferability", ICCV 2023.

The published score is a + b - c, each scaled to 0 to 1 over the models ranked together. Here a, b and -c are scores of their
own that do not depend on other models, and `ncti` is their sum after scaling: a + b - c + 1, since (-c) is scaled to 1 - c.

All three use one linear discriminant analysis in 64 principal dimensions. Its covariance within classes is shrunk by the
Ledoit-Wolf intensity, as in `lda` and `sfda`; the covariance between classes is not shrunk. As published both are shrunk, by an
amount that depends on the unit of the features, and where much is shrunk rounding chooses among directions that no longer
differ.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from itm.scores.base import CombinedScore, Options, ScoreInfo, StatisticScore
from itm.scores.common.discriminant import Discriminant, intensity
from itm.scores.common.principal import principal
from itm.scores.common.statistics import Statistics
from itm.scores.registry import register
from itm.scores.sample import Sample

PAPER = "Wang et al., ICCV 2023"
LEAST = 1e-10  # of the variance within classes, relative to the variance of all rows
NEGLIGIBLE = 1e-8  # relative to the largest eigenvalue


class NctiTermOptions(Options):
    """The number of principal `dimensions`."""

    dimensions: int = Field(64, ge=1)


@register
class NctiNuclear(StatisticScore[NctiTermOptions]):
    """The first term a: the nuclear norm of the centred rows along at most C - 1 discriminants."""

    options_type = NctiTermOptions
    info = ScoreInfo(
        name="ncti_nuclear",
        summary="Nuclear norm of the embeddings along their linear discriminants, the first term of ncti.",
        meaning="How far and evenly the classes spread over C - 1 directions, relative to their own width. Grows with the "
        "square root of the number of images, so compare models on the same images only.",
        lowest=0.0,
        paper=PAPER,
        cost="64 n d",
    )

    def value(self, sample: Sample) -> float:
        """Return the norm.

        In principal coordinates the covariance is diag(values). The singular values of the rows along axes A are those of
        diag(n values)^(1/2) A; no row is read.
        """
        return _analyse(sample.statistics, self.options.dimensions)[1]


@register
class NctiPosterior(StatisticScore[NctiTermOptions]):
    """The second term b: the mean over rows of the posterior of their class."""

    options_type = NctiTermOptions
    info = ScoreInfo(
        name="ncti_posterior",
        summary="Mean probability of the true class by linear discriminant analysis, the second term of ncti.",
        meaning="How sure a linear discriminant analysis is of the true class, for the images it is fitted to: 1 is "
        "perfect, and with few images every model comes near it.",
        lowest=0.0,
        highest=1.0,
        paper=PAPER,
        cost="64 n d",
    )

    def value(self, sample: Sample) -> float:
        statistics = sample.statistics
        model, _ = _analyse(statistics, self.options.dimensions)
        return float(model.posterior(statistics.blocks(), statistics.labels).mean())


@register
class NctiCollapse(StatisticScore[NctiTermOptions]):
    """Minus the third term c: c is the log of the sum over classes of the nuclear norm of the posteriors of their rows."""

    options_type = NctiTermOptions
    info = ScoreInfo(
        name="ncti_collapse",
        summary="How alike the posteriors of the images of a class are, the negative third term of ncti.",
        meaning="Minus the log of how many different posteriors the images of a class have. High if all images get "
        "the same prediction, right or wrong, so it is useful only beside the other two terms.",
        paper=PAPER,
        cost="64 n d + n C²",
    )

    def value(self, sample: Sample) -> float:
        """Return -c.

        The nuclear norm of posteriors [n_c, C] is that of the triangle of their QR factorisation, which is updated block by
        block; a class is never held whole.
        """
        statistics = sample.statistics
        model, _ = _analyse(statistics, self.options.dimensions)
        norms = 0.0
        for label in range(statistics.classes):
            kept = np.zeros((0, statistics.classes))
            for block in statistics.rows_of(label):
                for probabilities in model.probabilities(block):
                    kept = np.concatenate([kept, probabilities])
                    if len(kept) > statistics.classes:
                        kept = np.asarray(np.linalg.qr(kept, mode="r"))
            norms += float(np.linalg.svd(kept, compute_uv=False).sum())
        return -float(np.log(norms))


@register
class Ncti(CombinedScore[Options]):
    """The sum of the three terms; options are set there."""

    weights: ClassVar[Mapping[str, float]] = {"ncti_nuclear": 1.0, "ncti_posterior": 1.0, "ncti_collapse": 1.0}
    info = ScoreInfo(
        name="ncti",
        summary="Nearness to neural collapse: sum of three terms, each scaled over the models ranked together.",
        meaning="From 0, last of the models ranked together in all three terms, to 3, first in all of them. It says nothing "
        "about one model alone, and adding a model can swap two others.",
        lowest=0.0,
        highest=3.0,
        paper=PAPER,
        cost="that of its terms",
    )


def _analyse(statistics: Statistics, dimensions: int) -> tuple[Discriminant, float]:
    """Return the discriminant analysis and the nuclear norm of the rows along its axes.

    Let W and B be the covariances within and between classes. The posterior is softmax_c(z^T W^-1 c - c^T W^-1 c / 2 + log
    share_c) with the class centre c. The discriminants are the generalised eigenvectors of B and W, at most C - 1.
    """
    space = principal(statistics, dimensions)
    between = (space.centres.T * statistics.shares) @ space.centres
    within = np.diag(space.variances) - between
    shrinkage = intensity(space.residual_squares(), float(np.square(within).sum()), max(space.dimensions, 1))
    ridge = max(shrinkage * float(np.trace(within)), LEAST * float(space.variances.sum()))  # points get a width
    whitening = _whitening((1 - shrinkage) * within + ridge / max(len(within), 1) * np.eye(len(within)))
    strengths, directions = np.linalg.eigh(whitening.T @ between @ whitening)
    kept = min(statistics.classes - 1, int((strengths > NEGLIGIBLE * strengths.max(initial=0.0)).sum()))
    discriminants = whitening @ directions[:, ::-1][:, :kept]
    along = np.linalg.svd(np.sqrt(space.variances)[:, None] * discriminants, compute_uv=False)
    weights = whitening @ (whitening.T @ space.centres.T)
    offsets = np.log(statistics.shares) - np.einsum("ck,kc->c", space.centres, weights) / 2
    return Discriminant((space.axes @ weights).T, offsets), float(np.sqrt(statistics.n) * along.sum())


def _whitening(covariance: np.ndarray) -> np.ndarray:
    """Return A [k, r] where A A^T is the inverse of a covariance; each dimension is first scaled to variance 1."""
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    spread = np.where(spread > 0, spread, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(spread, spread))
    kept = values > 0.0
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]) / spread[:, None])
