"""What the number beside a model means: what naming the commonest class reaches, what the control reaches, what was judged."""

from math import isclose
from typing import Any, get_args

from itm.core.rankings import DataRanking, Estimate, RankedModel, Ranking
from itm.core.text import decimals, fixed, listed
from itm.core.types import SplitName
from itm.report.wording import ranked

METRICS = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
_CONTROLS = {
    "itm": ("eta=0", "Without the movement (eta = 0) the same training")
}  # of other scores nothing is known but the name
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def detailed(ranking: DataRanking) -> list[tuple[RankedModel, Estimate]]:
    """Return the rows whose score has details, best first, each with that score."""
    return [(row, row.estimate) for row in ranked(ranking) if row.estimate and row.estimate.details]


def digits(ranking: DataRanking) -> int:
    """Return how many decimals details are shown with; a control can differ from its score by less than intervals show."""
    return max(decimals(estimate for _, estimate in detailed(ranking)), 3)


def metric(ranking: DataRanking) -> str | None:
    """Return the detail that the score itself is, accuracy where every class has as many images; else nothing."""
    found = detailed(ranking)
    same = (name for name in METRICS if all(isclose(e.details.get(name, -1), e.value, abs_tol=1e-6) for _, e in found))
    return next(same, None) if found else None


def controlled(ranking: DataRanking) -> bool:
    """Say whether any score has a control to compare it with."""
    return any("control" in estimate.details for _, estimate in detailed(ranking))


def control_name(rank_by: str) -> str:
    """Return what heads a column of this score's control."""
    return _CONTROLS.get(rank_by, ("control", ""))[0]


def commonest_class(ranking: DataRanking) -> str:
    """Say what always naming the commonest class would reach, and how many models do not clearly exceed it."""
    found = [(row, estimate) for row, estimate in detailed(ranking) if "majority_rate" in estimate.details]
    if not found:
        return ""
    rate = found[0][1].details["majority_rate"]  # of the images alone, and so the same for every model
    text = f"Always naming the commonest class would reach an accuracy of {fixed(rate, digits(ranking))}"
    below = sum(estimate.low <= rate for _, estimate in found) if metric(ranking) == "accuracy" else 0
    if below == len(found):
        return f"{text}, which no model clearly exceeds."
    return text + (f", which all but {below} of the {len(found)} models clearly exceed." if below else ".")


def balance(ranking: DataRanking) -> str:
    """Give the first model's accuracy both ways, unless it is ranked by images and classes hardly change it."""
    found = [estimate for _, estimate in detailed(ranking) if estimate.details.keys() >= METRICS.keys()]
    if not found:
        return ""
    first = found[0]
    values = [first.details[name] for name in METRICS]
    if metric(ranking) == "accuracy" and abs(values[0] - values[1]) <= max(first.standard_error, 0.01):
        return ""
    accuracy, balanced = (fixed(value, digits(ranking)) for value in values)
    return (
        f"The first is right for {accuracy} of the images; with every class counting alike (balanced accuracy) for {balanced}."
    )


def control(ranking: DataRanking, rank_by: str) -> str:
    """Say what the control reaches, by how much scores differ from it, and who would be first by it."""
    found = [(row, e, e.details["control"]) for row, e in detailed(ranking) if "control" in e.details]
    if not found:
        return ""
    places, (first, _, reached) = digits(ranking), found[0]
    lead = _CONTROLS.get(rank_by, ("", "The control"))[1]
    most = max(abs(estimate.value - value) for _, estimate, value in found)
    text = f"{lead} reaches {fixed(reached, places)} for {first.model}"
    if len(found) > 1:
        text += f"; no score on this data set differs from its control by more than {fixed(most, places)}"
    apart = sum(abs(estimate.value - value) > estimate.standard_error for _, estimate, value in found)
    if apart:
        whom = f"{apart} of the {len(found)} models" if len(found) > 1 else "the model"
        text += f". The difference is above the score's standard error for {whom}."
    else:
        text += ". Score and control hardly differ: the difference is within the score's standard error"
        text += " for every model." if len(found) > 1 else "."
    if len(found) == 1:
        return text
    leader = max(found, key=lambda each: each[2])[0]  # of equal ones the best by score
    if leader is first:
        return f"{text} By the control the same model would come first."
    tied = ", which the score cannot tell apart from its own first" if leader.tied_with_first else ""
    return f"{text} By the control {leader.model} would come first{tied}."


def scored_splits(ranking: Ranking) -> str:
    """Name the splits whose images are scored, where these are not all there are."""
    splits = _score_params(ranking).get("splits") or get_args(SplitName)
    return "" if set(splits) >= set(get_args(SplitName)) else listed(list(splits), len(splits))


def drawing(ranking: Ranking) -> str:
    """Say how a held-out score comes by the draws that its interval is made of."""
    params = _score_params(ranking)
    folds, seeds = params.get("folds"), params.get("seeds")
    if params.get("splitting") == "cross_fitted" and folds and seeds:
        again = f" All of that is done {_number(seeds)} times, the images dealt anew." if seeds > 1 else ""
        return (
            f"The images are dealt over {_number(folds)} parts, class by class. Each part in turn is judged by what learnt "
            f"from the others, so that every image is judged exactly once by what did not learn from it.{again}"
        )
    if params.get("splitting") == "paper" and folds and seeds:
        drawn = f"One in {_number(folds)} of the images, drawn at random, is judged by what learnt from the others"
        return f"{drawn}. That is done {_number(seeds)} times."
    return "Some of the images are judged by what learnt from the others, several times over."


def _score_params(ranking: Ranking) -> dict[str, Any]:
    params = ranking.provenance.get("params")
    found = params.get("score") if isinstance(params, dict) else None
    return found if isinstance(found, dict) else {}


def _number(number: int) -> str:
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)
