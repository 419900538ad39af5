"""Budgets of a search: their text, and how much of one is left."""

import re
import time
from dataclasses import dataclass

from itm.core.errors import ParamsError
from itm.core.selections import SearchBudget
from itm.core.text import duration

SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
USAGE = "give a time such as 30m, 2h, 1h30m or 90s, or a share of the full grid such as 15%"


def read_budget(text: str | None, regret: float | None = None, confidence: float | None = None) -> SearchBudget:
    """Return the budget of the command line. `regret` is in points of accuracy.

    Raises
    ------
    ParamsError
        If no limit is given, or a value is wrong.

    >>> read_budget("1h30m").seconds, read_budget("15%").share
    (5400.0, 0.15)
    """
    if regret is not None and not 0 < regret < 100:
        raise ParamsError(f"--regret is {regret:g}; give points of accuracy above 0, such as 0.5.")
    if confidence is not None and not 0 < confidence < 1:
        raise ParamsError(f"--confidence is {confidence:g}; give a probability between 0 and 1, such as 0.95.")
    if confidence is not None and regret is None:
        raise ParamsError("--confidence is that of --regret; add --regret, such as 0.5 points.")
    if text is None and regret is None:
        raise ParamsError(f"a search needs a limit: {USAGE} with --budget, or points of accuracy with --regret.")
    seconds, share = _read(text) if text is not None else (None, None)
    return SearchBudget(seconds, share, None if regret is None else regret / 100, confidence or SearchBudget.confidence)


def _read(text: str) -> tuple[float | None, float | None]:
    """Return the seconds or the share of a budget."""
    plain = text.strip().lower()
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", plain):
        share = float(match[1]) / 100
        if share > 0:
            return None, share
    if match := re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", plain):
        seconds = sum(float(number or 0) * size for number, size in zip(match.groups(), SECONDS.values(), strict=True))
        if seconds > 0:
            return seconds, None
    raise ParamsError(f"--budget is {text!r}, which is no budget; {USAGE}.")


def budget_text(budget: SearchBudget) -> str:
    """Return a budget in words.

    >>> budget_text(SearchBudget(seconds=1800, regret=0.005))
    'a budget of 30 min, within 0.5 points of the best with probability 95 %'
    """
    parts = []
    if budget.seconds is not None:
        parts.append(f"a budget of {duration(budget.seconds)}")
    if budget.share is not None:
        parts.append(f"a budget of {100 * budget.share:g} % of the full grid")
    if budget.regret is not None:
        parts.append(f"within {100 * budget.regret:g} points of the best with probability {100 * budget.confidence:g} %")
    return ", ".join(parts)


@dataclass(frozen=True)
class Clock:
    """The time of a search: the seconds of earlier searches with these inputs, and those since this one began.

    `began` is a time of `time.monotonic`.
    """

    earlier: float
    began: float

    @property
    def spent(self) -> float:
        """Return the seconds spent, those of earlier searches included."""
        return self.earlier + time.monotonic() - self.began
