"""Figures of a search: the race, the learning curves, predicted against reached accuracies, and expected regret over time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from itm.core.selections import LearningCurve, PredictedModel, Selection
from itm.report.figures import MARKERS, THEME, WIDTH, short, style

MOST_MODELS = 20  # rows of the race
NAMED = 4  # models with a colour of their own
MINUTES = 180.0  # seconds from which times are in minutes


def race(selection: Selection) -> Figure | None:
    """Draw when each model was trained, and until when it could still be the best. None without experiments."""
    if not selection.experiments:
        return None
    trained = {own.model for own in selection.experiments}
    rows = [row for row in selection.models if row.model in trained][:MOST_MODELS]
    scale, unit = _time(selection)
    steps = max(own.step for own in selection.experiments)
    with _axes(1.2 + 0.3 * len(rows), f"{short(selection.data)}: the race", f"{unit} of the search", "") as axes:
        for place, row in enumerate(rows):
            end = row.left_at if row.left_at is not None else selection.states[-1].at
            colour = _colour(selection, row.model)
            axes.hlines(place, 0, end / scale, colors=colour, linewidth=6, alpha=0.25)
            own = [one for one in selection.experiments if one.model == row.model]
            sizes = [20 + 80 * one.step / max(steps, 1) for one in own]
            axes.scatter([one.at / scale for one in own], [place] * len(own), s=sizes, color=colour, zorder=3)
        axes.set_yticks(range(len(rows)), [short(row.model) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        return axes.get_figure()  # type: ignore[return-value]


def learning_curves(selection: Selection) -> Figure | None:
    """Draw the validation accuracies of all runs. The first models have colours. None without runs."""
    if not selection.curves:
        return None
    with _axes(4.6, f"{short(selection.data)}: learning curves", "step", "validation accuracy, %") as axes:
        for curve in sorted(selection.curves, key=lambda own: own.model not in _named(selection), reverse=True):
            colour, steps = _colour(selection, curve.model), [step for step, _ in curve.marks]
            axes.plot(steps, [100 * own for _, own in curve.marks], color=colour, marker=".", linewidth=1.2)
        for number, model in enumerate(_named(selection)):
            if best := _best_curve(selection, model):
                axes.plot([], [], color=THEME[f"group-{number}"], label=f"{short(model)} ({best.learning_rate:.2g})")
        axes.legend(frameon=False, fontsize=9, loc="lower right")
        return axes.get_figure()  # type: ignore[return-value]


def predicted_against_reached(selection: Selection) -> Figure | None:
    """Draw predicted accuracies with their intervals against test accuracies of finished runs. None if none is finished."""
    rows = [(row, row.reached) for row in selection.models if row.reached is not None]
    if not rows:
        return None
    title = f"{short(selection.data)}: predicted and reached accuracy"
    with _axes(4.6, title, "test accuracy reached, %", "predicted accuracy, %") as axes:
        for row, reached in rows:
            x, colour = 100 * reached, _colour(selection, row.model)
            axes.vlines(x, 100 * row.low, 100 * row.high, colors=colour, linewidth=1.5)
            axes.plot(x, 100 * row.accuracy, MARKERS[0], color=colour, markersize=7, zorder=3)
            axes.annotate(short(row.model), (x, 100 * row.accuracy), xytext=(6, 4), textcoords="offset points", fontsize=8)
        low, high = (pick([*axes.get_xlim(), *axes.get_ylim()]) for pick in (min, max))
        axes.plot([low, high], [low, high], "--", color=THEME["muted"], linewidth=1, zorder=1)
        axes.set(xlim=(low, high), ylim=(low, high))
        return axes.get_figure()  # type: ignore[return-value]


def regret_over_time(selection: Selection) -> Figure | None:
    """Draw the expected regret of the pick, and how many models may still be the best. None before two answers."""
    if len(selection.states) < 2:
        return None
    scale, unit = _time(selection)
    times = [own.at / scale for own in selection.states]
    with _axes(3.6, f"{short(selection.data)}: expected regret", f"{unit} of the search", "expected regret, points") as axes:
        axes.step(times, [100 * own.regret for own in selection.states], where="post", color=THEME["group-0"], label="regret")
        axes.set_ylim(bottom=0)
        other = axes.twinx()
        counts = [own.candidates for own in selection.states]
        other.step(times, counts, where="post", color=THEME["group-1"], linestyle="--", label="candidates")
        other.set_ylabel("models that may be the best")
        other.set_ylim(0, max(counts) + 1)
        other.yaxis.set_major_locator(MaxNLocator(integer=True))
        lines = [*axes.get_lines(), *other.get_lines()]
        axes.legend(lines, [str(line.get_label()) for line in lines], frameon=False, fontsize=9, loc="upper right")
        return axes.get_figure()  # type: ignore[return-value]


FIGURES: Sequence[tuple[str, Callable[[Selection], Figure | None], str]] = (
    (
        "race",
        race,
        "A dot is an experiment, larger for more steps. A bar ends when the model has less than 1 % chance to be the best.",
    ),
    ("curves", learning_curves, "Accuracy on the validation images. The rate is that of the best run of a model."),
    (
        "reached",
        predicted_against_reached,
        "Predictions are those at the end of the search, which has seen the validation results, with 95 % intervals. "
        "Accuracies on test images are not used by the search.",
    ),
    ("regret", regret_over_time, "The accuracy that the pick is expected to lose against the best model."),
)


@contextmanager
def _axes(height: float, title: str, x: str, y: str) -> Iterator[Axes]:
    """Yield the axes of a new figure in the style of the reports."""
    with style():
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set(title=title, xlabel=x, ylabel=y)
        axes.grid(axis="both" if y else "x")
        axes.set_axisbelow(True)
        yield axes


def _time(selection: Selection) -> tuple[float, str]:
    """Return the unit of times in seconds, and its name."""
    return (60.0, "minutes") if selection.states[-1].at >= MINUTES else (1.0, "seconds")


def _named(selection: Selection) -> list[str]:
    """Return the trained models that have a colour: the pick, then those with the best predictions."""
    trained = {curve.model for curve in selection.curves}
    order = sorted(selection.models, key=lambda row: row.model != selection.pick)
    return [row.model for row in order if row.model in trained][:NAMED]


def _colour(selection: Selection, model: str) -> str:
    named = _named(selection)
    return THEME[f"group-{named.index(model)}"] if model in named else THEME["muted"]


def _best_curve(selection: Selection, model: str) -> LearningCurve | None:
    own = [curve for curve in selection.curves if curve.model == model]
    return max(own, key=lambda curve: max(accuracy for _, accuracy in curve.marks), default=None)


def best_rate(selection: Selection, row: PredictedModel) -> float | None:
    """Return the learning rate of a model's best run, or None if it was not trained."""
    best = _best_curve(selection, row.model)
    return best.learning_rate if best else None
