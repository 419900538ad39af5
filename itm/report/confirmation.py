"""What fine-tuning the first models of a ranking showed: the sentence, and the cells that terminal and page share."""

from collections.abc import Iterable

from itm.core.confirmations import Accuracy, Candidate, Confirmed
from itm.core.text import join_names, pluralize


def of_data(data: str, confirmed: Iterable[Confirmed]) -> Confirmed | None:
    """Return what was confirmed of one data set."""
    return next((one for one in confirmed if one.data == data), None)


def verdict(confirmed: Confirmed) -> str:
    """Return whether fine-tuning confirms the first model of a ranking, or that it does not decide, and why."""
    data, leader = confirmed.data, confirmed.leader
    if leader is None:
        return f"For {data}, no fine-tuning finished."
    if confirmed.other is None:
        failed = [row.model for row in confirmed.candidates if row.model != leader]
        why = f"{join_names(failed, 3)} failed" if failed else "no other model was fine-tuned"
        return f"For {data}, only {leader} was fine-tuned: {why}, so nothing is compared."
    return " ".join([_outcome(confirmed), *_test_remark(confirmed)])


def headings(confirmed: Confirmed) -> tuple[str, ...]:
    """Return the columns after rank and model."""
    return confirmed.rank_by, "val", "test", "test, head only", "learning rate"


def cells(row: Candidate) -> tuple[str, ...]:
    """Return the cells of a candidate under `headings`; accuracies are in percent."""
    rate = "-" if row.learning_rate is None else f"{row.learning_rate:.2g}"
    return f"{row.score:.4f}", *map(percent_interval, (row.val, row.test, row.head_test)), rate


def caption(confirmed: Confirmed) -> str:
    """Return what the numbers of the table are."""
    if not confirmed.finished:
        return ""
    row = confirmed.finished[0]
    assert row.val
    assert row.test
    seeds = f", and from the spread of {row.seeds} seeds" if row.seeds > 1 else ""
    return (
        f"{_plural(confirmed.metric)} in percent after fine-tuning, with 95 % intervals from "
        f"{pluralize(row.val.images, 'validation image')} and {pluralize(row.test.images, 'test image')}{seeds}."
    )


def _plural(metric: str) -> str:
    return "Accuracies" if metric == "accuracy" else f"{metric[0].upper()}{metric[1:]}"


def percent_interval(accuracy: Accuracy | None) -> str:
    """Return an accuracy and its interval in percent."""
    if accuracy is None:
        return "-"
    return f"{100 * accuracy.value:.1f} [{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}]"


def _outcome(confirmed: Confirmed) -> str:
    data, leader, tied = confirmed.data, confirmed.leader, confirmed.tied
    first = f"{confirmed.first}, the first model by {confirmed.rank_by}"
    lead, noise = (f"{100 * (value or 0):.1f} points" for value in (confirmed.lead, confirmed.noise))
    above = f"is {lead} above that of {confirmed.other}"
    if tied:
        below = "" if confirmed.first in tied else f" {first}, is clearly below."
        return (
            f"Undecided for {data}: fine-tuning cannot tell {join_names(tied, 4)} apart. The validation {confirmed.metric} of "
            f"{leader} {above}, and up to {noise} may be chance.{below} More images give a clearer answer."
        )
    above += f", more than chance (up to {noise})."
    if confirmed.test_favours:
        return f"Undecided for {data}: validation and test disagree. The validation {confirmed.metric} of {leader} {above}"
    what = f"confirms {first}" if leader == confirmed.first else f"picks {leader} instead of {first}"
    return f"For {data}, fine-tuning {what}. Its validation {confirmed.metric} {above}"


def _test_remark(confirmed: Confirmed) -> list[str]:
    """Return a sentence if another model has a higher test accuracy than the leader."""
    tests = {row.model: row.test.value for row in confirmed.finished if row.test}
    leader = confirmed.leader or ""
    best = confirmed.test_favours or max(tests, key=lambda model: tests[model])
    if tests[best] <= tests[leader]:
        return []
    points, what = (
        f"{100 * (tests[best] - tests[leader]):.1f} points",
        "more than" if confirmed.test_favours else "which may be",
    )
    return [f"On the test images, {best} is {points} above {leader}, {what} chance."]
