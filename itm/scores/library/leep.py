"""Scores of the source classes that the model's own classifier sees in the images: LEEP and NCE.

Sources: Nguyen, Hassner, Seeger, Archambeau, "LEEP: A New Measure to Evaluate Transferability of Learned Representations",
ICML 2020, eq. (1) and (2). NCE: Tran, Nguyen, Hassner, "Transferability and Hardness of Supervised Classification Tasks", ICCV
2019, sec. 3.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import scipy.special

from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.statistics import membership
from itm.scores.registry import register
from itm.scores.sample import Sample

Blocks = Callable[[], Iterable[tuple[slice, np.ndarray]]]


@register
class Leep(StatisticScore[Options]):
    """The mean over rows of log sum_z p(y_i | z) P_iz, where P is the softmax of the logits over the Z source classes."""

    info = ScoreInfo(
        name="leep",
        summary="Log probability of the classes, predicted from the outputs of the model's own classifier.",
        meaning="How well the source classes that the model sees in an image predict its class, in nats per image: 0 is "
        "perfect, and minus the entropy of the classes is a guess. It evaluates the classifier that the model came with.",
        paper="Nguyen et al., ICML 2020",
        cost="two passes over the logits",
        kinds=("classification",),
        needs=("logits",),
    )

    def value(self, sample: Sample) -> float:
        """Return the mean log probability, at most 0.

        p(y | z) is estimated from the same rows. The value for a classifier that sees no difference between the images is minus
        the entropy of the classes. The embeddings are not used.
        """

        def blocks() -> Iterator[tuple[slice, np.ndarray]]:
            for where, logits in sample.model.logit_blocks(sample.rows):
                yield where, scipy.special.softmax(logits, axis=1)

        return float(np.log(expected_probability(blocks, sample.labels)).mean())


@register
class Nce(StatisticScore[Options]):
    """The negative conditional entropy -H(Y | Z), where z is the source class with the largest logit."""

    info = ScoreInfo(
        name="nce",
        summary="Negative entropy of the classes, given the source class that the model's own classifier predicts.",
        meaning="How well the one source class that the model predicts determines the image's class, in nats per image: 0 is "
        "perfect, and minus the entropy of the classes is a guess. With few images and many source classes it is too high.",
        highest=0.0,
        paper="Tran et al., ICCV 2019",
        cost="one pass over the logits",
        kinds=("classification",),
        needs=("logits",),
    )

    def value(self, sample: Sample) -> float:
        """Return sum_yz p(y, z) log(p(y, z) / p(z)), at most 0, where p are shares of the rows.

        Of equal largest logits the first counts. A model that predicts each source class only once reaches 0 too, so the value
        is too high for few images and many source classes. The embeddings are not used.
        """
        predicted = np.concatenate([logits.argmax(axis=1) for _, logits in sample.model.logit_blocks(sample.rows)])
        pairs, counts = np.unique(predicted * sample.classes + sample.labels, return_counts=True)
        of_source = np.bincount(predicted)[pairs // sample.classes]
        return float(counts @ np.log(counts / of_source) / len(predicted))


def expected_probability(blocks: Blocks, labels: np.ndarray) -> np.ndarray:
    """Return the probability [n] of each row's class given its soft label.

    The soft label of row i is a distribution P_i over z. The joint distribution is p(y, z) = sum over rows i of class y of
    P_iz / n. The probability is

        p_i = sum_z p(y_i | z) P_iz,    p(y | z) = p(y, z) / p(z).

    No p_i is 0: row i contributes to p(y_i, z), hence p_i >= sum_z P_iz^2 / (n p(z)).

    `blocks` returns the positions of rows and their soft labels [m, z], in blocks. It is called twice; P is never held whole.
    """
    classes = int(labels.max()) + 1
    joint = np.asarray(sum(membership(labels[where], classes) @ soft for where, soft in blocks()))
    total = joint.sum(axis=0)
    conditional = joint / np.where(total > 0, total, 1.0)
    parts = [np.einsum("iz,iz->i", conditional[labels[where]], soft) for where, soft in blocks()]
    return np.asarray(np.minimum(np.concatenate(parts), 1.0))
