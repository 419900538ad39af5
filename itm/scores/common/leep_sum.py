"""The sum that LEEP and N-LEEP are made of: what soft labels of rows foretell of the rows' classes.

Source: Nguyen, Hassner, Seeger, Archambeau, "LEEP: A New Measure to Evaluate Transferability of Learned Representations",
ICML 2020, eq. (1) and (2).
"""

from collections.abc import Callable, Iterable

import numpy as np

from itm.scores.common.statistics import membership

Blocks = Callable[[], Iterable[tuple[slice, np.ndarray]]]


def expected_probability(blocks: Blocks, labels: np.ndarray) -> np.ndarray:
    """Return the probability [n] that each row's soft label gives to the row's class.

    A row's soft label is a distribution P_i over z. With the joint p(y, z) = sum over rows i of class y of P_iz / n, it is

        p_i = sum_z p(y_i | z) P_iz,    p(y | z) = p(y, z) / p(z).

    `blocks` gives where some rows stand and their P [m, z], and is called twice, so that P is never held whole. No p_i is 0:
    row i has its own part in p(y_i, z), which gives p_i >= sum_z P_iz^2 / (n p(z)).
    """
    classes = int(labels.max()) + 1
    joint: np.ndarray | None = None
    for where, soft in blocks():
        of_classes = membership(labels[where], classes) @ soft
        joint = of_classes if joint is None else joint + of_classes
    assert joint is not None
    total = joint.sum(axis=0)
    conditional = joint / np.where(total > 0, total, 1.0)
    parts = [np.einsum("iz,iz->i", conditional[labels[where]], soft) for where, soft in blocks()]
    return np.asarray(np.minimum(np.concatenate(parts), 1.0))
