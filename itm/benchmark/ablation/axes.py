"""The axes of an ablation: the options of ITM that are varied, and their values."""

from collections.abc import Sequence
from typing import Any

from itm.core.errors import ParamsError, did_you_mean

AXES: dict[str, tuple[Any, ...]] = {
    "inner_loss": ("mse", "cross_entropy", "mae"),
    "centres": (("one_hot", 0), ("random", 0), ("random", 4), ("principal_axes", 0)),  # with dimensions per class
    "batch_size": (64, 128, 256, 512),
    "steps": (100, 250, 500, 1000),
    "recursions": (1, 3, 10, 100),
    "eta": (0.0, 0.1, 0.5, 1.0),
}


def check_axes(axes: Sequence[str]) -> None:
    """Raise a ParamsError if an axis is unknown."""
    for axis in axes:
        if axis not in AXES:
            raise ParamsError(f"no axis {axis!r}{did_you_mean(axis, AXES)} Known: {', '.join(AXES)}.")
