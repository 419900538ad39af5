"""Sentences about the score that ranks: the baseline, the control, and how images were held out."""

from typing import Any, get_args

from itm.core.rankings import DataRanking, Estimate, RankedModel, Ranking
from itm.core.text import compact, decimals, format_fixed, join_names
from itm.core.types import SplitName
from itm.kinds import get_kind
from itm.report.wording import below_baseline, is_below_baseline, ranked

# Of each score with a control: what tables call the control, and what it is.
_CONTROLS = {"itm": ("eta=0", " (the same training without moving the embeddings, eta = 0)")}


def detailed(ranking: DataRanking) -> list[tuple[RankedModel, Estimate]]:
    """Return the ranked rows whose score has details, best first, each with that score."""
    return [(row, row.estimate) for row in ranked(ranking) if row.estimate and row.estimate.details]


def digits(ranking: DataRanking) -> int:
    """Return the number of decimals of details, at least 3: score and control can be closer than intervals show."""
    return max(decimals(estimate for _, estimate in detailed(ranking)), 3)


def metric_labels(ranking: DataRanking) -> dict[str, str]:
    """Return what tables call the metrics of the task kind, by name."""
    return {metric.name: metric.label for metric in get_kind(ranking.target.kind).metrics}


def by_target(ranking: DataRanking, models: int = 5) -> tuple[tuple[str, ...], list[tuple[str, ...]]] | None:
    """Return headings and rows of the metrics of each target or label for the first models, or None if they have none."""
    found = [(row.model, estimate.details) for row, estimate in detailed(ranking)][:models]
    keys = [key for key in dict.fromkeys(key for _, details in found for key in details) if "/" in key]
    if not keys:
        return None
    labels, rows = metric_labels(ranking), []
    for key in keys:
        metric, _, name = key.partition("/")
        values = [details.get(key) for _, details in found]
        rows.append(
            (name, labels[metric].removeprefix("macro "), *("-" if value is None else compact(value) for value in values))
        )
    return ("Target", "Metric", *(model for model, _ in found)), rows


def controlled(ranking: DataRanking) -> bool:
    """Return whether any score has a control."""
    return any("control" in estimate.details for _, estimate in detailed(ranking))


def control_name(rank_by: str) -> str:
    """Return the column heading for the control of a score."""
    return _CONTROLS.get(rank_by, ("control", ""))[0]


def baseline(ranking: DataRanking) -> str:
    """Return what the baseline of the task kind reaches, and how many models clearly exceed it."""
    found = [(row, estimate) for row, estimate in detailed(ranking) if "baseline" in estimate.details]
    if not found:
        return ""
    reached = found[0][1].details["baseline"]  # it depends on the targets alone: it is the same for every model
    label, metric = get_kind(ranking.target.kind).baseline_label, ranking.metric.label
    text = f"{label} reaches {article(metric)} {metric} of {format_fixed(reached, digits(ranking))}"
    below, compared = below_baseline(ranking)
    if is_below_baseline(ranking):
        return f"{text}; no model clearly exceeds it."
    return text + (f"; {compared - below} of {compared} models clearly exceed it." if below else ".")


def article(noun: str) -> str:
    """Return "a" or "an"; a single letter, as in R², is spoken by its name."""
    vowels = "aeiou" if noun[1:2].islower() else "AEFHILMNORSX"
    return "an" if noun[:1] in vowels else "a"


def note(ranking: DataRanking) -> str:
    """Return what the score of the first model does not show, such as another metric that differs from it."""
    found = [estimate for _, estimate in detailed(ranking)]
    if not found:
        return ""
    return get_kind(ranking.target.kind).note(
        found[0].details, ranking.score_metric, found[0].standard_error, ranking.target.names
    )


def not_applicable(ranking: DataRanking) -> str:
    """Return the scores that were asked for and are not defined for the task kind."""
    names = ranking.not_applicable
    return f"Not applicable to {ranking.target.kind}: {join_names(list(names), len(names))}." if names else ""


def control(ranking: DataRanking) -> str:
    """Return what the control reaches, how much scores differ from it, and which model it ranks first."""
    found = [(row, e, e.details["control"]) for row, e in detailed(ranking) if "control" in e.details]
    if not found:
        return ""
    places, (first, estimate, reached) = digits(ranking), found[0]
    what = _CONTROLS.get(ranking.rank_by, ("", ""))[1]
    sentences = [f"The control{what} reaches {format_fixed(reached, places)} for {first.model}."]
    if len(found) == 1:
        where = "larger than" if abs(estimate.value - reached) > estimate.standard_error else "within"
        sentences.append(f"The difference is {where} the standard error of the score.")
        return " ".join(sentences)
    most = max(abs(estimate.value - value) for _, estimate, value in found)
    sentences.append(f"The largest difference between a score and its control is {format_fixed(most, places)}.")
    larger = sum(abs(estimate.value - value) > estimate.standard_error for _, estimate, value in found)
    if larger:
        sentences.append(f"For {larger} of {len(found)} models, the difference is larger than the standard error of the score.")
    else:
        sentences.append("For every model, the difference is within the standard error of the score.")
    leader = max(found, key=lambda each: each[2])[0]  # of equal ones the best by score
    tied = f"; it is tied with {first.model} by score" if leader.tied_with_first else ""
    which = "the same model" if leader is first else leader.model
    return " ".join([*sentences, f"Ranked by the control, {which} is first{tied if leader is not first else ''}."])


def scored_splits(ranking: Ranking) -> str:
    """Return the splits whose images are scored, or nothing if all splits are."""
    splits = _score_params(ranking).get("splits") or get_args(SplitName)
    return "" if set(splits) >= set(get_args(SplitName)) else join_names(list(splits), len(splits))


def held_out(ranking: Ranking) -> str:
    """Return what a held-out score means for the task kinds of this ranking, and how images are held out."""
    kinds = dict.fromkeys(data.target.kind for data in ranking.data_sets if data.hash) or {"classification": None}
    meanings = [get_kind(kind).held_out_meaning for kind in kinds]
    groups = " A group is never divided." if any(data.groups for data in ranking.data_sets) else ""
    how = _splitting(_score_params(ranking))
    return f"{'; '.join(meanings)}, trained on the embeddings of the other images. {how}{groups}"


def _splitting(params: dict[str, Any]) -> str:
    folds, repeats = params.get("folds"), params.get("repeats")
    if params.get("splitting") == "cross_validation" and folds and repeats:
        repeated = f" This is repeated {repeats} times with other folds." if repeats > 1 else ""
        return (
            f"The images are divided into {folds} stratified folds. Each fold is the test set once, with the other folds as "
            f"training set, so every image is tested exactly once.{repeated}"
        )
    if params.get("splitting") == "holdout" and folds and repeats:
        return f"A random 1/{folds} of the images is the test set, the rest the training set. This is repeated {repeats} times."
    return "The images are divided into a training set and a test set several times."


def _score_params(ranking: Ranking) -> dict[str, Any]:
    params = ranking.provenance.get("params")
    found = params.get("score") if isinstance(params, dict) else None
    return found if isinstance(found, dict) else {}
