"""TransRate: how much shorter a code for the embeddings becomes once their classes are known.

Source: Huang, Huang, Rong, Yang, Wei, "Frustratingly Easy Transferability Estimation", ICML 2022.
"""

from dataclasses import dataclass

import numpy as np

from itm.core.errors import ParamsError
from itm.scores.common.statistics import Statistics
from itm.scores.evaluate import Definition, Sample, register


@dataclass(frozen=True)
class TransrateOptions:
    """The squared `distortion` that the code may have, as a share of the total variance.

    With `reference` it is a plain number, and classes count the same however many images they have, as in the authors' code.
    """

    distortion: float = 1e-4
    reference: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.distortion < np.inf:
            raise ParamsError(f"transrate: distortion is {self.distortion}; it must be above 0.")


def transrate(sample: Sample, options: TransrateOptions) -> float:
    """Return R(F) - sum_c share_c R(F_c) in nats, where F_c are the rows of class c and R(Z) = 1/2 log det(I + Z^T Z / (m e)).

    Z has m rows less the mean of all, so the total variance tr(F^T F) / n is first made 1: on features as they are, the same
    model's score can be 16 or 1902, depending on their unit. log det is concave, so that no division into classes gives less
    than 0, which needs the weights to be the classes' shares. Whatever the number of features, det(I + Z^T Z / (m e)) is
    det(I + Z Z^T / (m e)), and the smaller is taken.

    F_c is not centred at its own mean. So two classes of equal size that differ in nothing but their means score 0, and what is
    seen of their distance grows with the number of classes. A class with fewer rows than directions has a short code, whatever
    the model: with few images a class, scores are high.
    """
    statistics = sample.statistics
    if not statistics.rank:
        return 0.0
    distortion = options.distortion * (1.0 if options.reference else statistics.total_variance)
    weights = np.full(statistics.classes, 1 / statistics.classes) if options.reference else statistics.shares
    rate = float(np.log1p(statistics.values / distortion).sum()) / 2
    return rate - float(weights @ [_rate_of(statistics, label, distortion) for label in range(statistics.classes)])


def _rate_of(statistics: Statistics, label: int, distortion: float) -> float:
    """Return R of one class's rows."""
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


TRANSRATE = register(
    Definition(
        name="transrate",
        function=transrate,
        options=TransrateOptions(),
        sampling="subset",
        summary="Coding rate of the embeddings less the mean coding rate of each class's.",
        meaning="How many nats an image's embedding tells of its class, as a Gaussian code sees it; 0 tells nothing. Compare "
        "models on the same images only: with few images a class every score is high.",
        paper="Huang et al., ICML 2022",
        cost="n d min(n / C, d)",
    )
)
