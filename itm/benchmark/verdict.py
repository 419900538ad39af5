"""Says in words where ITM stands in a pool: against chance, against the controls and against the other scores."""

from collections.abc import Sequence
from dataclasses import dataclass

from itm.agreement import Interval
from itm.benchmark.standings import REFERENCE, PoolStandings, Standing
from itm.core.text import counted, fixed, listed

NAMED = 8  # names in a sentence; of more, the others are counted, but never those that are better


@dataclass(frozen=True)
class Verdict:
    """Sentences on a pool, the one on ITM itself first."""

    sentences: tuple[str, ...]


@dataclass(frozen=True)
class _Sides:
    """Contenders above ITM, below it and within noise of it."""

    above: list[Standing]
    below: list[Standing]
    within: list[Standing]


def verdict(pool: PoolStandings) -> Verdict:
    """Return where ITM stands in a pool, good or bad.

    Clearly better or worse means that the 95 % interval of the paired difference excludes 0, on the side that the difference
    itself is on; all else is within noise. Contenders without that difference, such as random orders, are not compared.
    """
    itm = next((one for one in pool.standings if one.name == REFERENCE), None)
    if itm is None:
        return Verdict((f"{pool.name}: {REFERENCE} has no values here, so nothing is compared with it.",))
    rivals = [one for one in pool.standings if one.against_itm is not None]
    scores, controls = ([one for one in rivals if one.kind == kind] for kind in ("score", "control"))
    return Verdict((_itself(pool, itm), *_against_controls(controls, itm), *_against_scores(scores)))


def _itself(pool: PoolStandings, itm: Standing) -> str:
    scores = [one for one in pool.standings if one.kind == "score"]
    place = 1 + sum(one.tau.mean > itm.tau.mean for one in scores)
    found = f"{pool.name}: ITM has a mean tau_w of {fixed(itm.tau.mean, 2)} {_bounds(itm.tau)}"
    among = f", place {place} of {counted(len(scores), 'score')}" if len(scores) > 1 else ""
    return f"{found}{among}; {_against_chance(itm.tau, pool.chance)}."


def _against_chance(tau: Interval, chance: float) -> str:
    reached = f"the {fixed(chance, 2)} that one random order in twenty reaches"
    if tau.low > chance:
        return f"all of its interval lies above {reached}"
    if tau.mean > chance:
        return f"its interval goes down to {reached}, or below"
    return f"that is not more than {reached}"


def _against_controls(controls: Sequence[Standing], itm: Standing) -> list[str]:
    """Name every control with a higher mean and whether that is beyond noise, then those that ITM is clearly better than."""
    if not controls:
        return []
    sides = _sides(controls)
    higher = [one for one in sides.within if one.tau.mean > itm.tau.mean]
    lower = [one for one in sides.within if one not in higher]
    parts = [f"{how} {_differences(found)}" for how, found in (("clearly", sides.above), ("within noise", higher)) if found]
    number = len(sides.above) + len(higher)
    having = f"{number or 'none'} {'have' if number > 1 else 'has'} a higher mean{': ' if parts else ''}{'; '.join(parts)}"
    beaten = f"ITM is clearly better than {_names(sides.below) if sides.below else 'none of them'}"
    return [
        f"Of {counted(len(controls), 'control')} besides chance, {having}.",
        f"{beaten}{f', but not than {_differences(lower)}' if sides.below and lower else ''}.",
    ]


def _against_scores(scores: Sequence[Standing]) -> list[str]:
    """Name the scores that are clearly better than ITM and those within noise of it, and count those clearly worse."""
    if not scores:
        return []
    sides = _sides(scores)
    parts = [f"clearly better than ITM: {_differences(sides.above) if sides.above else 'none'}"]
    if sides.within:
        parts.append(f"within noise of it: {_names(sides.within)}")
    if sides.below:
        parts.append(f"clearly worse: {len(sides.below)}")
    return [f"Of {counted(len(scores), 'other score')}, {'; '.join(parts)}."]


def _sides(rivals: Sequence[Standing]) -> _Sides:
    """Sort contenders by their paired difference to ITM."""
    sides = _Sides([], [], [])
    for one in rivals:
        difference = one.against_itm
        if difference is not None and min(difference.mean, difference.low) > 0:
            sides.above.append(one)
        elif difference is not None and max(difference.mean, difference.high) < 0:
            sides.below.append(one)
        else:
            sides.within.append(one)
    return sides


def _differences(found: Sequence[Standing]) -> str:
    told = ((one.name, one.against_itm) for one in found)
    return listed([f"{name} ({fixed(d.mean, 2, '+')} {_bounds(d, '+')})" if d else name for name, d in told], len(found))


def _bounds(one: Interval, sign: str = "") -> str:
    return f"[{fixed(one.low, 2, sign)}, {fixed(one.high, 2, sign)}]"


def _names(found: Sequence[Standing]) -> str:
    return listed([one.name for one in found], NAMED)
