"""A selection in words: the line of an answer that changes, and the sentences of the final one."""

from itm.core.selections import OtherPick, PredictedModel, SearchState, Selection
from itm.core.text import compact, duration, pluralize

ROLES = {
    "most accurate": "most accurate, if its best learning rate is trained to the end",
    "smaller": "best with half the cost or less",
    "faster": "fastest within noise",
}


def points(share: float) -> str:
    """Return a share of 1 in points of accuracy.

    >>> points(0.9234)
    '92.3'
    """
    return f"{100 * share:.1f}"


def accuracy_text(row: PredictedModel | SearchState) -> str:
    """Return an expected accuracy with its 95 % interval, in points."""
    return f"{points(row.accuracy)} [{points(row.low)}, {points(row.high)}]"


def state_line(state: SearchState) -> str:
    """Return the answer so far in one line: the pick, its expected accuracy, how sure that is, and what a minute would buy."""
    gain = min(60 * state.gain, state.regret)  # an experiment of a second cannot be repeated for a minute
    return (
        f"{duration(state.at)}: {state.pick} {accuracy_text(state)} %, best with probability {100 * state.chance_best:.0f} %, "
        f"expected regret {100 * state.regret:.1f} points; another minute gains about {100 * gain:.2f}"
    )


def answer_text(selection: Selection) -> str:
    """Return the recommendation and how the search ended, as sentences."""
    best = selection.best
    if best is None:
        return f"For {selection.data}, no model can be recommended: {selection.why}."
    expected = f"expected accuracy {accuracy_text(best)} %, best with probability {100 * best.chance_best:.0f} %"
    tested = ""
    if selection.test is not None:
        tested = f" It reaches {points(selection.test)} % on {pluralize(selection.test_images, 'test image')}."
    return f"For {selection.data}, fine-tune {best.model}: {expected}.{tested} The search ended: {selection.why}."


def other_text(selection: Selection, other: OtherPick) -> str:
    """Return another pick with its role, its expected accuracy and its cost."""
    row = selection.of(other.model)
    assert row
    cost = f"{compact(row.latency_ms)} ms" if row.latency_ms is not None else f"{compact(row.gmacs)} GMACs"
    return f"{ROLES[other.role]}: {row.model} {accuracy_text(row)} %, {cost}"


def recipe_text(selection: Selection) -> str:
    """Return the recipe of the pick in one line, or nothing."""
    own = selection.recipe
    if own is None:
        return ""
    best = f", best at {own.best_step}" if own.best_step is not None else ""
    size = f", {own.input_size[1]} x {own.input_size[0]} pixels" if own.input_size else ""
    parts = [
        f"protocol {own.protocol}, learning rate {own.learning_rate:g}, {own.steps} steps of {own.batch_size} images{best}",
        f"AdamW with weight decay {own.weight_decay:g}, warm-up {100 * own.warmup:g} % then cosine",
        f"random crops from {100 * own.crop:g} % of the area{', mirrored' if own.mirror else ''}{size}",
        f"batch norm {own.batch_norm}",
    ]
    needs = [f"about {duration(own.seconds)}"] if own.seconds is not None else []
    needs += [f"{compact(own.memory / 1e9)} GB of memory"] if own.memory is not None else []
    return "; ".join(parts) + (f". It takes {' and '.join(needs)}." if needs else ".")


def export_command(selection: Selection, ranking: str | None) -> str:
    """Return the command that exports the trained checkpoint, or nothing if there is none."""
    if selection.pick is None or selection.weights_file is None:
        return ""
    where = f" --ranking {ranking}" if ranking else ""
    return f"itm export {selection.data}{where} --to {selection.pick.split('@')[0].split('/')[-1]}"


def unfinished_text(selection: Selection) -> str:
    """Return what is missing if the pick is not trained to its end, or nothing."""
    if selection.pick is None or (selection.weights_file and selection.test is not None):
        return ""
    what = "only part of its steps is trained" if selection.weights_file else "the pick is not trained yet"
    return f"{what}; the same command with a larger budget trains it to its end"
