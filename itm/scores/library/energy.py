"""Energy: the mean log of the sum of exponentials of the model's own logits; high for images like those it was trained on.

Source: Gholami, Akbari, Wang, Kamranian, Zhang, "ETran: Energy-Based Transferability Estimation", ICCV 2023 (its S_en).
"""

from dataclasses import dataclass

import numpy as np
import scipy.special

from itm.core.errors import ScoreError
from itm.scores.common.statistics import BLOCK
from itm.scores.evaluate import Definition, Sample, register

ROWS_FOR_ONE = 200  # the reference keeps half a per cent of the rows


@dataclass(frozen=True)
class EnergyOptions:
    """`reference` is what the public code computes, which is of the embeddings and of few of the rows."""

    reference: bool = False


def energy(sample: Sample, options: EnergyOptions) -> float:
    """Return the mean over rows of log sum_z exp(g_iz), g_i the logits of row i: minus its free energy.

    The classes of the data set play no part. The value is in the unit of the logits and moves with a constant added to all of
    them, which no training on cross-entropy fixes, so that it compares models only as well as their logits compare.

    The public code passes the embeddings where the logits belong, and keeps the rows that are lowest in it, half a per cent of
    them: of fewer than 200 rows none.
    """
    table = sample.table if options.reference else sample.source.logits
    assert table is not None
    lengths = []
    size = max(1, BLOCK // table.shape[1])
    for start in range(0, len(sample.rows), size):
        block = table[sample.rows[start : start + size]].astype(np.float64)
        lengths.append(scipy.special.logsumexp(block, axis=1))
    found = np.concatenate(lengths)
    if not options.reference:
        return float(found.mean())
    kept = len(found) // ROWS_FOR_ONE
    if not kept:
        raise ScoreError(
            f"energy as published is of the lowest half per cent of the rows, which of {len(found)} is none; "
            f"take {ROWS_FOR_ONE} rows or more, or leave reference off."
        )
    return float(np.sort(found)[:kept].mean())


ENERGY = register(
    Definition(
        name="energy",
        function=energy,
        options=EnergyOptions(),
        sampling="subset",
        summary="Mean log-sum-exp of the outputs of the model's own classifier: how familiar the images are to it.",
        meaning="How strongly the model's own classifier answers to the images, whatever it says. It does not look at their "
        "classes, so it is meant as a part of `etran` and not to rank by alone.",
        paper="Gholami et al., ICCV 2023",
        cost="one pass over the logits",
        needs=("logits",),
    )
)
