"""PED: SFDA or LogME after classes that overlap have pushed each other apart, as fine-tuning would.

Source: Li, Hu, Ge, Shan, Duan, "Exploring Model Transferability through the Lens of Potential Energy", ICCV 2023.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import scipy.linalg

from itm.core.errors import ParamsError
from itm.scores.common.statistics import NEGLIGIBLE, Statistics
from itm.scores.evaluate import Definition, Sample, register
from itm.scores.library.logme import mean_evidence
from itm.scores.library.sfda import sfda_posterior

Head = Literal["sfda", "logme"]

STEP = 0.5 * 0.1**2  # of an overlap: half the square of the time step, as published
STEPS = 6
LEFT = 0.5  # of the first step's movement: movement has settled when a step is no larger
LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class PedOptions:
    """What the moved rows are judged by, and how much of its radius a class takes up; 0.3 is published too.

    `reference` computes everything in the published units, and SFDA as published.
    """

    head: Head = "sfda"
    extent: float = 0.6
    reference: bool = False

    def __post_init__(self) -> None:
        if self.head not in get_args(Head):
            raise ParamsError(f"ped: head is {self.head!r}; it is {' or '.join(map(repr, get_args(Head)))}.")
        if not 0 <= self.extent < np.inf:
            raise ParamsError(f"ped needs a finite extent >= 0, not {self.extent}.")


def ped(sample: Sample, options: PedOptions) -> float:
    """Return the head's value of rows that are shifted with their class.

    Features are measured in their spreads over the data set. A
    class is a ball of radius s R_c around its centre, s the extent and R_c the root of its summed variances. In a step each
    class moves away from each that it overlaps with, along the line of their centres, by 0.005 of the overlap; at most six
    steps are taken, and none that moves the centres by half of what the first did, or less. The pushes of all other classes add
    up, so that where hundreds overlap the first step alone tears them apart and the value comes near its best for any model.

    A step adds to the centre of a class multiples of its differences from others, so that after k steps the centres are A_k M,
    M [C, D] being the first ones. A_k [C, C] comes from the inner products of M alone. Its rows sum to one, so that it can be
    applied to the centres in principal coordinates as well, which is what undoes the spreads. Covariances within classes do
    not change.

    Spreads are of single features, so that a rotation and a wider space do matter. Those below 1e-3 of the root mean square one
    count as that. As published 1e-3 is absolute, and a step's movement is summed over the features of all centres instead of
    over the lengths of their paths; classes of one and the same centre, which here do not push each other, give nan.
    """
    shifts = displacements(sample.statistics, _spread(sample.statistics), options)
    if options.head == "sfda":
        return sfda_posterior(sample, shifts, options.reference)
    return _moved_evidence(sample.statistics, shifts)


def displacements(statistics: Statistics, spread: np.ndarray, options: PedOptions) -> np.ndarray:
    """Return by how much each class moves, [C, r] in principal coordinates; `spread` [d] is the unit of each feature."""
    typical = 1.0 if options.reference else float(np.sqrt((spread**2).mean())) or 1.0
    unit = np.maximum(spread, LEAST_SPREAD * typical)
    centres = (statistics.class_means - statistics.mean) / unit
    radii = np.sqrt((statistics.class_variances / unit**2).sum(axis=1))
    inner = centres @ centres.T

    def movement(step: np.ndarray) -> float:
        if options.reference:
            return float(np.abs(step @ centres).sum())
        return float(np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", step, inner, step, optimize=True), 0.0)).sum())

    combined = _moved(inner, options.extent * radii, movement)
    return np.asarray((combined - np.eye(len(inner))) @ statistics.centres)


def _spread(statistics: Statistics) -> np.ndarray:
    """Return the standard deviation [d] of each feature."""
    between = (statistics.class_means - statistics.mean) ** 2
    return np.asarray(np.sqrt(statistics.shares @ (statistics.class_variances + between)))


def _moved(inner: np.ndarray, radii: np.ndarray, movement: Callable[[np.ndarray], float]) -> np.ndarray:
    """Return A [C, C], the combinations of centres that classes of these radii move to; `inner` are the centres' products."""
    combined, first = np.eye(len(inner)), None
    for _ in range(STEPS):
        lines, distances = pairs(combined @ inner @ combined.T)
        push = STEP * np.maximum(np.add.outer(radii, radii) - distances, 0.0) * lines
        step = (np.diag(push.sum(axis=1)) - push) @ combined
        moved = movement(step)
        first = moved if first is None else first
        if not moved > LEFT * first:
            break
        combined = combined + step
    return combined


def pairs(inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each two centres with these inner products [C, C] one over their distance, and their distance.

    Two that are the same but for rounding have no line to move along, so that the former is 0.
    """
    lengths = np.diagonal(inner)
    squares = np.maximum(np.add.outer(lengths, lengths) - 2 * inner, 0.0)
    distances = np.sqrt(squares)
    apart = squares > NEGLIGIBLE * lengths.max()
    return np.divide(1.0, distances, out=np.zeros_like(distances), where=apart), distances


def _moved_evidence(statistics: Statistics, shifts: np.ndarray) -> float:
    """Return LogME of rows shifted with their class: the covariance gets other classes' centres, and so other eigenvectors."""
    shares, u = statistics.shares, statistics.mean_coordinates
    shift = shares @ shifts
    centres = statistics.centres + shifts - shift
    scatter = np.diag(statistics.values)
    for sign, means in ((-1, statistics.centres), (1, centres)):
        scatter += sign * (means.T * shares) @ means
    values, axes = scipy.linalg.eigh(scatter, driver="evd", check_finite=False) if len(u) else (statistics.values, scatter)
    kept = values > NEGLIGIBLE * values.max(initial=0.0)
    values, axes = values[kept], axes[:, kept]
    return mean_evidence(
        rows=statistics.n,
        shares=shares,
        values=values,
        centres=centres @ axes,
        mean_coordinates=(u + shift) @ axes,
        mean_square=float(statistics.mean @ statistics.mean) + float((2 * u + shift) @ shift),
        total_variance=float(values.sum()),
    )


PED = register(
    Definition(
        name="ped",
        function=ped,
        options=PedOptions(),
        sampling="subset",
        summary="SFDA after classes whose balls overlap have pushed each other apart in a few steps.",
        meaning="How well classes are told apart once those that overlap have moved apart, as fine-tuning would move them. "
        "With the head sfda it is a probability, with logme nats per image and class.",
        paper="Li et al., ICCV 2023",
        cost="that of sfda, with the head logme another eigendecomposition",
    )
)
