"""PED: SFDA or LogME after classes that overlap have pushed each other apart, as fine-tuning would.

Source: Li, Hu, Ge, Shan, Duan, "Exploring Model Transferability through the Lens of Potential Energy", ICCV 2023.
"""

from typing import Literal

import numpy as np
import scipy.linalg
from pydantic import Field

from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.evidence import mean_evidence
from itm.scores.common.statistics import NEGLIGIBLE, Statistics
from itm.scores.library.sfda import sfda_posterior
from itm.scores.registry import register
from itm.scores.sample import Sample

STEP = 0.5 * 0.1**2  # of an overlap: half the square of the time step, as published
STEPS = 6
LEFT = 0.5  # of the movement of the first step: smaller steps are not taken
LEAST_SPREAD = 1e-3  # relative to the root mean square spread


class PedOptions(Options):
    """`head` evaluates the moved rows. `extent` is the share of its radius that a class fills; 0.3 is published too."""

    head: Literal["sfda", "logme"] = "sfda"
    extent: float = Field(0.6, ge=0, allow_inf_nan=False)


@register
class Ped(StatisticScore[PedOptions]):
    """The value of the head for rows that are shifted with their class."""

    options_type = PedOptions
    info = ScoreInfo(
        name="ped",
        summary="SFDA after classes whose balls overlap have pushed each other apart in a few steps.",
        meaning="How well classes are separated once those that overlap have moved apart, as fine-tuning would move them. "
        "With the head sfda it is a probability, with logme nats per image and class.",
        paper="Li et al., ICCV 2023",
        cost="that of sfda, with the head logme another eigendecomposition",
    )

    def value(self, sample: Sample) -> float:
        """Return the value of the head.

        Features are measured in units of their standard deviation over the data set. A class is a ball of radius s R_c around
        its centre, where s is the extent and R_c the root of its summed variances. In a step each class moves away from each
        class that it overlaps with, along the line of their centres, by 0.005 of the overlap. There are at most six steps, and
        none that moves the centres by half as much as the first or less. The pushes of all other classes add up: where hundreds
        overlap, the first step alone separates them and the value comes near its maximum for any model.

        Standard deviations are of single features, so a rotation and a wider space do matter. Those below 1e-3 of their root
        mean square count as that. As published, 1e-3 is absolute, and the movement of a step is summed over the features of all
        centres instead of over the lengths of their paths. Classes with equal centres, which here do not push each other, give
        nan there.
        """
        shifts = displacements(sample.statistics, feature_spreads(sample.statistics), self.options.extent)
        if self.options.head == "sfda":
            return sfda_posterior(sample.statistics, shifts)
        return moved_evidence(sample.statistics, shifts)


def feature_spreads(statistics: Statistics) -> np.ndarray:
    """Return the standard deviation [d] of each feature."""
    between = (statistics.class_means - statistics.mean) ** 2
    return np.asarray(np.sqrt(statistics.shares @ (statistics.class_variances + between)))


def displacements(statistics: Statistics, spreads: np.ndarray, extent: float) -> np.ndarray:
    """Return the displacement [C, r] of each class in principal coordinates; `spreads` [d] is the unit of each feature.

    A step adds multiples of differences of centres to each centre. After k steps the centres are A_k M, where M [C, d] are the
    first ones. A_k [C, C] depends on the inner products of M alone. Its rows sum to one, so it can be applied to the centres in
    principal coordinates as well, which undoes the unit of the features. Covariances within classes do not change.
    """
    typical = float(np.sqrt((spreads**2).mean())) or 1.0
    unit = np.maximum(spreads, LEAST_SPREAD * typical)
    centres = (statistics.class_means - statistics.mean) / unit
    radii = np.sqrt((statistics.class_variances / unit**2).sum(axis=1))
    combined = _combinations(centres @ centres.T, extent * radii)
    return np.asarray((combined - np.eye(len(combined))) @ statistics.centres)


def _combinations(inner: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return A [C, C], the combinations of centres that classes with these radii move to, from the inner products [C, C]."""
    combined, first = np.eye(len(inner)), None
    for _ in range(STEPS):
        lines, distances = pairs(combined @ inner @ combined.T)
        push = STEP * np.maximum(np.add.outer(radii, radii) - distances, 0.0) * lines
        step = (np.diag(push.sum(axis=1)) - push) @ combined
        moved = float(np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", step, inner, step, optimize=True), 0.0)).sum())
        first = moved if first is None else first
        if not moved > LEFT * first:
            break
        combined = combined + step
    return combined


def pairs(inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each pair of centres with these inner products [C, C] one over their distance, and their distance [C, C].

    Centres that differ by rounding alone have no line between them; for them the former is 0.
    """
    lengths = np.diagonal(inner)
    squares = np.maximum(np.add.outer(lengths, lengths) - 2 * inner, 0.0)
    distances = np.sqrt(squares)
    apart = squares > NEGLIGIBLE * lengths.max()
    return np.divide(1.0, distances, out=np.zeros_like(distances), where=apart), distances


def moved_evidence(statistics: Statistics, shifts: np.ndarray) -> float:
    """Return LogME of rows that are shifted with their class, [C, r]: other centres make another covariance."""
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
        weights=shares,
        means=np.ones(statistics.classes),
        products=centres @ axes,
        mean_squares=shares,
        values=values,
        mean_coordinates=(u + shift) @ axes,
        mean_square=float(statistics.mean @ statistics.mean) + float((2 * u + shift) @ shift),
        total_variance=float(values.sum()),
    )
