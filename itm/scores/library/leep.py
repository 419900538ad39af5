"""LEEP: log probability of the classes, foretold from the source classes that the model's own classifier sees in the images.

Source: Nguyen, Hassner, Seeger, Archambeau, "LEEP: A New Measure to Evaluate Transferability of Learned Representations",
ICML 2020, eq. (2).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.special

from itm.scores.common.leep_sum import expected_probability
from itm.scores.common.statistics import BLOCK
from itm.scores.evaluate import Definition, Sample, register


@dataclass(frozen=True)
class LeepOptions:
    """`reference` is the mean of the probabilities themselves, which the code that came with SFDA computes under this name."""

    reference: bool = False


def leep(sample: Sample, options: LeepOptions) -> float:
    """Return the mean over rows of log sum_z p(y_i | z) P_iz, P the softmax of the logits over the Z source classes.

    p(y | z) is what the same rows say of class y where the source class is z. At most 0; a classifier that sees no difference
    between the images has minus the entropy of the classes. The embeddings play no part.

    Without the log (`reference`) a row that is foretold badly costs no more than one that is foretold well can win, so that
    models may change places: the two are different scores, the second from 0 to 1.
    """
    logits = sample.source.logits
    assert logits is not None
    size = max(1, BLOCK // logits.shape[1])

    def blocks() -> Iterator[tuple[slice, np.ndarray]]:
        for start in range(0, len(sample.rows), size):
            where = slice(start, start + size)
            yield where, scipy.special.softmax(logits[sample.rows[where]].astype(np.float64), axis=1)

    foretold = expected_probability(blocks, sample.labels)
    return float(foretold.mean() if options.reference else np.log(foretold).mean())


LEEP = register(
    Definition(
        name="leep",
        function=leep,
        options=LeepOptions(),
        sampling="subset",
        summary="Log probability of the classes, foretold from the outputs of the model's own classifier.",
        meaning="How well the source classes that the model sees in an image foretell its class, in nats per image: 0 is "
        "perfect, and minus the entropy of the classes is a guess. It judges the classifier the model came with.",
        paper="Nguyen et al., ICML 2020",
        cost="two passes over the logits",
        needs=("logits",),
    )
)
