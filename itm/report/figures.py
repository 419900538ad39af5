"""Figures of a ranking: scores with their intervals, and scores against cost.

Figures are made without pyplot, so they need no display and leave no global state. Every colour comes from `THEME`; the page
replaces them by its own in dark mode.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

import matplotlib.style as mpl_style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from itm.core.rankings import DataRanking, Estimate, RankedModel
from itm.core.text import decimals, format_fixed, pluralize
from itm.report.details import control_name
from itm.report.fonts import choose_fonts, warn_of_boxes, without_glyph_warnings
from itm.report.wording import in_order, ranked, tie_groups

Point = tuple[float, float]
WIDTH = 8.4  # inches
MOST_MODELS = 40  # per figure
LONGEST_LABEL = 56  # usual letters
# The four group colours are distinguishable with any colour vision and dark enough for white digits.
THEME = {
    "paper": "#ffffff",
    "ink": "#1c2127",
    "muted": "#5b6573",
    "grid": "#dfe3e8",
    "group-0": "#0067a5",
    "group-1": "#b34700",
    "group-2": "#00785a",
    "group-3": "#96407f",
}
GROUP_COLOURS = 4
MARKERS = ("o", "s", "D", "^")
_STYLE = {
    "axes.edgecolor": THEME["muted"],
    "axes.facecolor": "none",
    "axes.labelcolor": THEME["ink"],
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.facecolor": THEME["paper"],
    "font.family": ["sans-serif"],  # and for each text the fonts that have its letters: itm.report.fonts
    "font.size": 10,
    "grid.color": THEME["grid"],
    "savefig.dpi": 160,
    "svg.fonttype": "none",
    "svg.hashsalt": "itm",
    "text.color": THEME["ink"],
    "text.parse_math": False,
    "xtick.color": THEME["muted"],
    "ytick.color": THEME["muted"],
    "ytick.labelcolor": THEME["ink"],
}


@contextmanager
def style() -> Iterator[None]:
    with mpl_style.context(["default", _STYLE]):
        yield


def write_png(path: Path, figure: Figure) -> None:
    """Write a figure as PNG; the same figure and the same fonts give the same bytes."""
    warn_of_boxes(choose_fonts(figure))
    with style(), without_glyph_warnings():
        figure.savefig(path, format="png", metadata={"Software": None})


def score_bars(ranking: DataRanking) -> Figure:
    """Draw the score of each model with its 95 % interval, best on top and failed models at the bottom.

    Tie groups differ in colour and marker. A tick shows the control of a score, a dotted line the baseline if it is within the
    range of the scores. Only the first `MOST_MODELS` models are drawn.
    """
    everyone = in_order(ranking.rows)
    rows = everyone[:MOST_MODELS]
    groups = tie_groups(ranking)
    which = f", the first {len(rows)} of {pluralize(len(everyone), 'model')}" if len(rows) < len(everyone) else ""
    scored = any(row.estimate for row in rows)
    places = decimals(row.estimate for row in rows)
    with style():
        figure = Figure(figsize=(WIDTH, 1.1 + 0.3 * max(len(rows), 2)), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(f"{short(ranking.data)}: {ranking.rank_by} with 95 % intervals{which}")
        axes.set_xlabel(f"{ranking.rank_by} (higher is better)" if scored else "")
        axes.xaxis.set_visible(scored)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        for place, row in enumerate(rows):
            if row.estimate is None:
                _beside(axes, place, "no score", THEME["muted"])
            else:
                note = "" if row.tie_group is None else f"   tie group {row.tie_group}"
                _beside(axes, place, f"{format_fixed(row.estimate.value, places)}{note}", _colour(_group(groups, row)))
        _draw_scores(axes, [(_group(groups, row), place, row.estimate) for place, row in enumerate(rows) if row.estimate])
        axes.set_yticks(range(len(rows)), [short(row.model) for row in rows])
        for label, row in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_color(THEME["muted"] if row.rank is None else THEME["ink"])
            label.set_fontweight("bold" if row.rank == 1 else "normal")
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
        _compare(figure, axes, replace(ranking, rows=tuple(rows)))
    return figure


def _compare(figure: Figure, axes: Axes, ranking: DataRanking) -> None:
    """Draw the controls and the baseline, and a legend if there are any."""
    found = [(place, row.estimate.details) for place, row in enumerate(in_order(ranking.rows)) if row.estimate]
    controls = [(details["control"], place) for place, details in found if "control" in details]
    if controls:
        style: dict[str, Any] = {"marker": "|", "s": 130, "linewidths": 1.4, "color": THEME["ink"], "zorder": 3}
        name = control_name(ranking.rank_by)
        axes.scatter(*np.transpose(controls), label="control" if name == "control" else f"control ({name})", **style)
    rates = [details["baseline"] for _, details in found if "baseline" in details]
    low, high = axes.get_xlim()
    near = [rate for rate in rates[:1] if low <= rate <= high]  # further away, it would squeeze the intervals
    if near and ranking.score_metric == ranking.metric.name:
        axes.axvline(near[0], linestyle=":", linewidth=1.4, color=THEME["muted"], label="baseline")
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)


def _draw_scores(axes: Axes, placed: Sequence[tuple[int, float, Estimate]], upright: bool = False) -> None:
    """Draw scores with their intervals, given the group and the place of each.

    Groups are drawn one by one. Drawing models one by one takes several times as long.
    """
    for group in sorted({group for group, *_ in placed}):
        places, estimates = zip(*((place, estimate) for own, place, estimate in placed if own == group), strict=True)
        lows, values, highs = zip(*((e.low, e.value, e.high) for e in estimates), strict=True)
        marker, colour = MARKERS[group % GROUP_COLOURS], _colour(group)
        if upright:
            axes.vlines(places, lows, highs, colors=colour, linewidth=1.5)
            axes.plot(places, values, marker, color=colour, markersize=13, zorder=3)
        else:
            axes.hlines(places, lows, highs, colors=colour, linewidth=9, alpha=0.35)
            axes.plot(values, places, marker, color=colour, markersize=4.5)


def _beside(axes: Axes, place: int, text: str, colour: str) -> None:
    axes.text(1.01, place, text, transform=axes.get_yaxis_transform(), va="center", color=colour, fontsize=9)


def score_against_cost(ranking: DataRanking) -> Figure:
    """Draw score against GMACs, or against parameters if the GMACs of a model are unknown. The number in a mark is the rank.

    The dashed line connects the models with a higher score than every cheaper model. Only the first `MOST_MODELS` models and
    those on the line are drawn.
    """
    rows, groups = ranked(ranking), tie_groups(ranking)
    known = [(row, row.facts, row.estimate) for row in rows if row.facts and row.estimate]
    by_gmacs = all(facts.gmacs for _, facts, _ in known)
    cost = "GMACs per image" if by_gmacs else "million parameters"
    left_out = f"; {pluralize(len(rows) - len(known), 'model')} of unknown cost not shown" if len(known) < len(rows) else ""
    with style():
        figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(f"{short(ranking.data)}: {ranking.rank_by} against {cost}")
        if not known:
            axes.text(0.5, 0.5, "No model has both a score and a known cost", transform=axes.transAxes, ha="center")
            axes.set_axis_off()
            return figure
        axes.set(xlabel=f"{cost} (log scale{left_out})", ylabel=f"{ranking.rank_by} (higher is better)", xscale="log")
        axes.grid()
        axes.set_axisbelow(True)
        costs = [(facts.gmacs or 0.0) if by_gmacs else facts.parameters / 1e6 for _, facts, _ in known]
        if min(costs) == max(costs):  # a single cost has no range to pad
            axes.set_xlim(costs[0] / 2, costs[0] * 2)
        points = [(x, estimate.value) for x, (_, _, estimate) in zip(costs, known, strict=True)]
        front = _front(points)
        shown = [place for place, point in enumerate(points) if place < MOST_MODELS or point in front]
        points, known, costs = [points[at] for at in shown], [known[at] for at in shown], [costs[at] for at in shown]
        axes.plot(*np.transpose(front), "--", color=THEME["muted"], linewidth=1, zorder=1.5)
        placed = [(_group(groups, row), x, estimate) for x, (row, _, estimate) in zip(costs, known, strict=True)]
        _draw_scores(axes, placed, upright=True)
        for point, (row, *_) in zip(points, known, strict=True):
            drawn = axes.text(*point, str(row.rank), ha="center", va="center_baseline", fontsize=8, color=THEME["paper"])
            drawn.set(zorder=4, in_layout=False)
        axes.margins(x=0.12, y=0.14)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if max(costs) < 1000 * min(costs) else (1.0,)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return figure


def _front(points: list[Point]) -> list[Point]:
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or point[1] > front[-1][1]:
            front.append(point)
    return front


def short(name: str) -> str:
    """Return a name as wide as 56 usual letters at most; a longer one, such as a path, leaves no room for the figure."""
    widths = [2.0 if east_asian_width(letter) in "WF" else 1.7 if letter in "mwMW" else 1.0 for letter in name]
    if sum(widths) <= LONGEST_LABEL:
        return name
    first = next(number for number in range(len(name)) if sum(widths[: number + 1]) > LONGEST_LABEL * 0.54)
    last = next(number for number in range(len(name)) if sum(widths[number:]) <= LONGEST_LABEL * 0.45)
    return f"{name[:first]}…{name[last:]}"


def _group(groups: list[int], row: RankedModel) -> int:
    return groups.index(row.tie_group) if row.tie_group in groups else 0


def _colour(group: int) -> str:
    return THEME[f"group-{group % GROUP_COLOURS}"]


def as_svg(figure: Figure) -> str:
    """Return a figure as SVG with its text as text and no date; the same figure gives the same bytes."""
    stream = io.StringIO()
    choose_fonts(figure)  # for the widths of texts; a browser draws them with its own fonts
    with style(), without_glyph_warnings():
        # savefig would draw twice, once for the layout alone
        dpi, left_out = figure.dpi, dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(stream, metadata=left_out)  # type: ignore[no-untyped-call]
        figure.set_dpi(dpi)
    return stream.getvalue()
