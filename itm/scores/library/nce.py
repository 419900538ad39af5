"""NCE: how little is left to say of an image's class once the source class that the model names is known.

Source: Tran, Nguyen, Hassner, "Transferability and Hardness of Supervised Classification Tasks", ICCV 2019, sec. 3.
"""

from dataclasses import dataclass

import numpy as np

from itm.scores.common.statistics import BLOCK
from itm.scores.evaluate import Definition, Sample, register


@dataclass(frozen=True)
class NceOptions:
    """NCE has none."""


def nce(sample: Sample, options: NceOptions) -> float:  # noqa: ARG001
    """Return the negative conditional entropy -H(Y | Z) = sum_yz p(y, z) log(p(y, z) / p(z)), z the source class named.

    z_i is the largest of row i's logits, the first where several are, and p are shares of the rows. At most 0, which is also
    what any model reaches that names a source class once only, so that few images and many source classes flatter. The
    embeddings play no part.
    """
    logits = sample.source.logits
    assert logits is not None
    size = max(1, BLOCK // logits.shape[1])
    starts = range(0, len(sample.rows), size)
    named = np.concatenate([logits[sample.rows[start : start + size]].argmax(axis=1) for start in starts])
    pairs, counts = np.unique(named * sample.classes + sample.labels, return_counts=True)
    of_source = np.bincount(named)[pairs // sample.classes]
    return float(counts @ np.log(counts / of_source) / len(named))


NCE = register(
    Definition(
        name="nce",
        function=nce,
        options=NceOptions(),
        sampling="subset",
        summary="Negative entropy of the classes, given the source class that the model's own classifier names.",
        meaning="How well the one source class that the model names foretells the image's class, in nats per image: 0 is "
        "perfect, and minus the entropy of the classes is a guess. With few images and many source classes it is too kind.",
        highest=0.0,
        paper="Tran et al., ICCV 2019",
        cost="one pass over the logits",
        needs=("logits",),
    )
)
