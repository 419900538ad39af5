"""Sentences that compare ITM with chance, with the controls and with the other scores of a pool."""

from collections.abc import Sequence

from itm.agreement import Interval
from itm.benchmark.results import REFERENCE, PoolResults, PredictorResult
from itm.core.text import format_fixed, join_names, pluralize

MAX_NAMES = 8  # names in a sentence, the others are counted; predictors that are better than ITM are always named


def verdict(pool: PoolResults) -> tuple[str, ...]:
    """Return sentences that compare ITM with everything else in a pool; the first is about ITM itself.

    A predictor is clearly better or worse if the 95 % interval of its paired difference to ITM excludes 0; otherwise it is
    within noise. Predictors without this difference, such as random orders, are not compared.
    """
    itm = next((result for result in pool.results if result.name == REFERENCE), None)
    if itm is None:
        return (f"{pool.name}: {REFERENCE} has no values, so nothing is compared with it.",)
    results = [result for result in pool.results if result.difference_to_itm is not None]
    scores, controls = ([result for result in results if result.kind == kind] for kind in ("score", "control"))
    return (_about_itm(pool, itm), *_against_controls(controls, itm), *_against_scores(scores))


def _about_itm(pool: PoolResults, itm: PredictorResult) -> str:
    scores = [result for result in pool.results if result.kind == "score"]
    place = 1 + sum(result.tau.mean > itm.tau.mean for result in scores)
    start = f"{pool.name}: ITM has a mean tau_w of {with_bounds(itm.tau)}"
    among = f", place {place} of {pluralize(len(scores), 'score')}" if len(scores) > 1 else ""
    return f"{start}{among}; {_against_chance(itm.tau, pool.chance)}."


def _against_chance(tau: Interval, chance: float) -> str:
    reached = f"the {format_fixed(chance, 2)} that 5 % of random orders reach"
    if tau.low > chance:
        return f"its whole interval is above {reached}"
    if tau.mean > chance:
        return f"its interval includes {reached}"
    return f"this is not above {reached}"


def _against_controls(controls: Sequence[PredictorResult], itm: PredictorResult) -> list[str]:
    """Name every control with a higher mean, then the controls that ITM is clearly better than."""
    if not controls:
        return []
    above, below, within = _sides(controls)
    higher = [result for result in within if result.tau.mean > itm.tau.mean]
    lower = [result for result in within if result not in higher]
    labelled = {"clearly better": above, "within noise": higher}
    parts = "; ".join(f"{label}: {_differences(own)}" for label, own in labelled.items() if own)
    number = len(above) + len(higher)
    having = f"{number or 'none'} {'have' if number > 1 else 'has'} a higher mean{f' ({parts})' if parts else ''}"
    beaten = f"ITM is clearly better than {_names(below) if below else 'none of them'}"
    return [
        f"Of {pluralize(len(controls), 'control')} besides chance, {having}.",
        f"{beaten}{f', but not clearly better than {_differences(lower)}' if below and lower else ''}.",
    ]


def _against_scores(scores: Sequence[PredictorResult]) -> list[str]:
    """Name the scores that are clearly better than ITM and those within noise, and count those that are clearly worse."""
    if not scores:
        return []
    above, below, within = _sides(scores)
    parts = [f"clearly better than ITM: {_differences(above) if above else 'none'}"]
    if within:
        parts.append(f"within noise: {_names(within)}")
    if below:
        parts.append(f"clearly worse: {len(below)}")
    return [f"Of {pluralize(len(scores), 'other score')}, {'; '.join(parts)}."]


def _sides(results: Sequence[PredictorResult]) -> tuple[list[PredictorResult], list[PredictorResult], list[PredictorResult]]:
    """Return the predictors that are clearly better than ITM, those clearly worse, and those within noise."""
    above, below, within = [], [], []
    for result in results:
        difference = result.difference_to_itm
        if difference is not None and min(difference.mean, difference.low) > 0:
            above.append(result)
        elif difference is not None and max(difference.mean, difference.high) < 0:
            below.append(result)
        else:
            within.append(result)
    return above, below, within


def _differences(results: Sequence[PredictorResult]) -> str:
    named = ((result.name, result.difference_to_itm) for result in results)
    texts = [f"{name} ({with_bounds(d, '+')})" if d else name for name, d in named]
    return join_names(texts, len(results))


def with_bounds(interval: Interval, sign: str = "") -> str:
    """Return a mean with its interval as text; with "+" as `sign`, positive numbers get a plus."""
    return f"{format_fixed(interval.mean, 2, sign)} {bounds(interval, sign)}"


def bounds(interval: Interval, sign: str = "") -> str:
    return f"[{format_fixed(interval.low, 2, sign)}, {format_fixed(interval.high, 2, sign)}]"


def _names(results: Sequence[PredictorResult]) -> str:
    return join_names([result.name for result in results], MAX_NAMES)
