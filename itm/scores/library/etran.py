"""ETran: how familiar the images are to the model, and how well a linear discriminant separates their classes.

Source: Gholami, Akbari, Wang, Kamranian, Zhang, "ETran: Energy-Based Transferability Estimation", ICCV 2023. Its two terms,
S_en and S_cls, are the scores `energy` and `lda`.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import scipy.special

from itm.scores.base import CombinedScore, Options, ScoreInfo, StatisticScore
from itm.scores.common.discriminant import discriminant, ledoit_wolf
from itm.scores.registry import register
from itm.scores.sample import Sample

PAPER = "Gholami et al., ICCV 2023"


@register
class Energy(StatisticScore[Options]):
    """The mean over rows of log sum_z exp(g_iz), where g_i [z] are the logits of row i: minus its free energy."""

    info = ScoreInfo(
        name="energy",
        summary="Mean log-sum-exp of the outputs of the model's own classifier: how familiar the images are to it.",
        meaning="How strongly the model's own classifier responds to the images, whatever it predicts. It ignores their "
        "classes, so it is meant as a part of `etran` and not to rank by alone.",
        paper=PAPER,
        cost="one pass over the logits",
        kinds=("classification",),
        needs=("logits",),
    )

    def value(self, sample: Sample) -> float:
        """Return the mean, in the unit of the logits.

        A constant added to all logits is added to the value. Training on cross-entropy does not fix that constant, so the value
        compares models only as far as their logits are comparable.
        """
        sums = [scipy.special.logsumexp(logits, axis=1) for _, logits in sample.model.logit_blocks(sample.rows)]
        return float(np.concatenate(sums).mean())


@register
class Lda(StatisticScore[Options]):
    """The mean posterior of the true class under linear discriminant analysis with Ledoit-Wolf shrinkage."""

    info = ScoreInfo(
        name="lda",
        summary="Mean probability that a linear discriminant gives the true class; ETran's classification term.",
        meaning="How sure a linear discriminant is of an image's true class, for the images it is fitted to: optimistic where "
        "images are few.",
        lowest=0.0,
        highest=1.0,
        paper=PAPER,
        cost="the shared eigendecomposition",
    )

    def value(self, sample: Sample) -> float:
        """Return the mean over rows of p(y_i | f_i) = softmax_c(w_c . f_i - w_c . m_c / 2 + log share_c)_{y_i}.

        Here w_c = S^-1 m_c, m_c is the mean of class c, S = (1 - a) Sw + a tr(Sw) / r I, Sw is the covariance within classes
        and a its Ledoit-Wolf intensity. This is the classifier of the generalised eigenproblem of the covariances between and
        within classes: its eigenvectors U satisfy U U^T = S^-1. The unit of the features does not matter, and fewer rows than
        features only mean a larger a. r is the rank of the rows and not d: a wider space without information must not change a
        score.

        Public code takes eigh of S^-1 Sb, which is not symmetric. The result is orthonormal, U U^T = I and w_c = m_c: every row
        goes to the nearest class mean, in whatever unit the features have.
        """
        statistics = sample.statistics
        model = discriminant(statistics, ledoit_wolf(statistics), statistics.rank, statistics.centres)
        return float(model.posterior(statistics.blocks(), statistics.labels).mean())


@register
class Etran(CombinedScore[Options]):
    """The weighted sum of `energy` and `lda`; their options are set there."""

    weights: ClassVar[Mapping[str, float]] = {"energy": 0.15, "lda": 0.85}
    info = ScoreInfo(
        name="etran",
        summary="0.15 of the energy of the model's own outputs and 0.85 of LDA, each from 0 to 1 over the models ranked.",
        meaning="Where a model stands among those ranked with it, for the most part by how well a linear discriminant "
        "separates the classes. It changes when models are added.",
        lowest=0.0,
        highest=1.0,
        paper=PAPER,
        cost="that of its terms",
        kinds=("classification",),
    )
