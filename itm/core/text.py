"""Words and numbers as tables, pages and messages show them."""

import math
from collections.abc import Iterable, Sequence

from itm.core.rankings import Estimate


def listed(names: Sequence[str], most: int) -> str:
    """Write names as a list in words, naming at most `most` of them."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return " and ".join([", ".join(names[:-1])] * (len(names) > 1) + [names[-1]])


def decimals(estimates: Iterable[Estimate | None]) -> int:
    """Return how many decimals tell the ends of these intervals apart without showing digits that mean nothing."""
    present = [estimate for estimate in estimates if estimate]
    widths = sorted(width for e in present if (width := e.high - e.low) > 0)
    scale = widths[len(widths) // 2] / 10 if widths else max((abs(e.value) for e in present), default=1.0) / 1000
    return min(max(-math.floor(math.log10(scale)), 0), 9) if scale > 0 else 0


def fixed(value: float, places: int, sign: str = "") -> str:
    """Write a score with `places` decimals and without a negative zero; with "+" as sign, positive ones have theirs too."""
    return f"{value:{sign}z.{places}f}"


def interval(estimate: Estimate, places: int) -> str:
    """Write the 95 % interval of a score."""
    return f"[{fixed(estimate.low, places)}, {fixed(estimate.high, places)}]"


def compact(value: float | None) -> str:
    """Write a count or a speed with three digits that matter; nothing known is a hyphen."""
    if value is None:
        return "-"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun.

    >>> counted(1, "image"), counted(1200, "class")
    ('1 image', '1,200 classes')
    """
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number:,} {noun if number == 1 else plural}"
