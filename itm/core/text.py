"""Text for tables, pages and messages: lists of names, numbers with nouns, and rounded numbers."""

import math
from collections.abc import Iterable, Sequence

from itm.core.rankings import Estimate


def join_names(names: Sequence[str], most: int) -> str:
    """Return names as an enumeration of at most `most` items; the last item counts the names left out.

    >>> join_names(["a", "b", "c"], 3), join_names(["a", "b", "c", "d"], 3), join_names([], 3)
    ('a, b and c', 'a, b and 2 more', '')
    """
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return " and ".join([", ".join(names[:-1])] * (len(names) > 1) + [*names[-1:]])


def decimals(estimates: Iterable[Estimate | None]) -> int:
    """Return the number of decimals for these estimates: a tenth of the median width of their intervals is still visible."""
    present = [estimate for estimate in estimates if estimate]
    widths = sorted(width for e in present if (width := e.high - e.low) > 0)
    scale = widths[len(widths) // 2] / 10 if widths else max((abs(e.value) for e in present), default=1.0) / 1000
    return min(max(-math.floor(math.log10(scale)), 0), 9) if scale > 0 else 0


def format_fixed(value: float, places: int, sign: str = "") -> str:
    """Return a number with `places` decimals and no negative zero; with "+" as `sign`, positive numbers get a plus."""
    return f"{value:{sign}z.{places}f}"


def interval(estimate: Estimate, places: int) -> str:
    """Return the 95 % interval of a score as text."""
    return f"[{format_fixed(estimate.low, places)}, {format_fixed(estimate.high, places)}]"


def compact(value: float | None) -> str:
    """Return a count or a speed with three significant digits, or a hyphen for None."""
    if value is None:
        return "-"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def pluralize(number: int, noun: str) -> str:
    """Return a number with its noun in singular or plural.

    >>> pluralize(1, "image"), pluralize(1200, "class")
    ('1 image', '1,200 classes')
    """
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number:,} {noun if number == 1 else plural}"


def duration(seconds: float) -> str:
    """Return a duration in the largest suitable units.

    >>> duration(0.2), duration(45), duration(750), duration(5000)
    ('1 s', '45 s', '13 min', '1 h 23 min')
    """
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
