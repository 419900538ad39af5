"""Draws a ranking: scores with their intervals, and scores against what a model costs.

Figures are built without pyplot, so drawing needs no display and leaves no global state; every colour comes from `THEME`, which
the page exchanges for its own in the dark.
"""

import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.style as mpl_style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from itm.core.rankings import DataRanking, Estimate, RankedModel
from itm.core.text import counted, decimals, fixed
from itm.report.details import control_name, metric
from itm.report.wording import in_order, ranked, tie_groups

Point = tuple[float, float]
Place = tuple[Point, str, str]
WIDTH = 8.4  # inches
MOST_MODELS = 40  # in a figure; more make a tall picture that nobody reads to its end
NAME_SIZE = 9  # points
MOST_NAMES = 14  # beside the marks; with more, leaders cross and none can be followed, and the ranks in the marks do
# Four colours that are told apart with any colour vision and carry white digits; tie groups take them in turn.
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
    """Write a figure as PNG; the same figure gives the same bytes."""
    with style():
        figure.savefig(path, format="png", metadata={"Software": None})


def score_bars(ranking: DataRanking, rank_by: str) -> Figure:
    """Draw every model's score with its 95 % interval, best on top, tie groups by colour and mark, failed models below.

    Where there are controls, a tick shows each; a dotted line is what always naming the commonest class reaches, if it is near.
    Of more than `MOST_MODELS`, the first are drawn.
    """
    everyone = in_order(ranking.rows)
    rows = everyone[:MOST_MODELS]
    groups = tie_groups(ranking)
    which = f", the first {len(rows)} of {counted(len(everyone), 'model')}" if len(rows) < len(everyone) else ""
    scored = any(row.estimate for row in rows)
    places = decimals(row.estimate for row in rows)
    with style():
        figure = Figure(figsize=(WIDTH, 1.1 + 0.3 * max(len(rows), 2)), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(f"{short(ranking.data)}: {rank_by} with 95 % intervals{which}")
        axes.set_xlabel(f"{rank_by} (higher is better)" if scored else "")
        axes.xaxis.set_visible(scored)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        for place, row in enumerate(rows):
            if row.estimate is None:
                _beside(axes, place, "no score", THEME["muted"])
            else:
                note = "" if row.tie_group is None else f"   tie group {row.tie_group}"
                _beside(axes, place, f"{fixed(row.estimate.value, places)}{note}", _colour(_group(groups, row)))
        placed = [(_group(groups, row), place, row.estimate) for place, row in enumerate(rows) if row.estimate]
        for group in sorted({group for group, *_ in placed}):
            _dots(axes, group, [(place, estimate) for own, place, estimate in placed if own == group])
        axes.set_yticks(range(len(rows)), [short(row.model) for row in rows])
        for label, row in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_color(THEME["muted"] if row.rank is None else THEME["ink"])
            label.set_fontweight("bold" if row.rank == 1 else "normal")
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
        _compare(figure, axes, replace(ranking, rows=tuple(rows)), rank_by)
    return figure


def _compare(figure: Figure, axes: Axes, ranking: DataRanking, rank_by: str) -> None:
    """Draw what the scores are to be compared with, and a legend where there is any of it."""
    found = [(place, row.estimate.details) for place, row in enumerate(in_order(ranking.rows)) if row.estimate]
    controls = [(details["control"], place) for place, details in found if "control" in details]
    if controls:
        style: dict[str, Any] = {"marker": "|", "s": 130, "linewidths": 1.4, "color": THEME["ink"], "zorder": 3}
        axes.scatter(*np.transpose(controls), label=f"{control_name(rank_by)}, the control", **style)
    rates = [details["majority_rate"] for _, details in found if "majority_rate" in details]
    low, high = axes.get_xlim()
    near = [rate for rate in rates[:1] if low <= rate <= high]  # further away, it would leave the intervals no room
    if near and metric(ranking) == "accuracy":
        axes.axvline(near[0], linestyle=":", linewidth=1.4, color=THEME["muted"], label="always the commonest class")
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)


def _dots(axes: Axes, group: int, placed: list[tuple[int, Estimate]]) -> None:
    """Draw all of one tie group; one by one takes several times as long."""
    places, colour = [place for place, _ in placed], _colour(group)
    lows, values, highs = zip(*((e.low, e.value, e.high) for _, e in placed), strict=True)
    axes.hlines(places, lows, highs, colors=colour, linewidth=9, alpha=0.35)
    axes.plot(values, places, MARKERS[group % GROUP_COLOURS], color=colour, markersize=4.5)


def _beside(axes: Axes, place: int, text: str, colour: str) -> None:
    axes.text(1.01, place, text, transform=axes.get_yaxis_transform(), va="center", color=colour, fontsize=9)


def score_against_cost(ranking: DataRanking, rank_by: str) -> Figure:
    """Draw score against GMACs, or against parameters where not every model's GMACs are known; marks carry the ranks.

    The dashed line joins the models that no cheaper one beats. Names stand where there is room, those on the line first,
    then by rank. Of more than `MOST_MODELS`, the first are drawn, and all on the line.
    """
    rows, groups = ranked(ranking), tie_groups(ranking)
    known = [(row, row.facts, row.estimate) for row in rows if row.facts and row.estimate]
    by_gmacs = all(facts.gmacs for _, facts, _ in known)
    cost = "GMACs per image" if by_gmacs else "million parameters"
    left_out = f"; {counted(len(rows) - len(known), 'model')} of unknown cost left out" if len(known) < len(rows) else ""
    with style():
        figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(f"{short(ranking.data)}: {rank_by} against {cost}")
        if not known:
            axes.text(0.5, 0.5, "No model has both a score and a known cost", transform=axes.transAxes, ha="center")
            axes.set_axis_off()
            return figure
        axes.set(xlabel=f"{cost} (log scale{left_out})", ylabel=f"{rank_by} (higher is better)", xscale="log")
        axes.grid()
        axes.set_axisbelow(True)
        costs = [(facts.gmacs or 0.0) if by_gmacs else facts.parameters / 1e6 for _, facts, _ in known]
        if min(costs) == max(costs):  # one cost has no range that could be padded
            axes.set_xlim(costs[0] / 2, costs[0] * 2)
        points = [(x, estimate.value) for x, (_, _, estimate) in zip(costs, known, strict=True)]
        front = _front(points)
        shown = [place for place, point in enumerate(points) if place < MOST_MODELS or point in front]
        points, known, costs = [points[at] for at in shown], [known[at] for at in shown], [costs[at] for at in shown]
        axes.plot(*np.transpose(front), "--", color=THEME["muted"], linewidth=1, zorder=1.5)
        placed = [(_group(groups, row), x, estimate) for x, (row, _, estimate) in zip(costs, known, strict=True)]
        for group in sorted({group for group, *_ in placed}):
            _columns(axes, group, [(x, estimate) for own, x, estimate in placed if own == group])
        for point, (row, *_) in zip(points, known, strict=True):
            drawn = axes.text(*point, str(row.rank), ha="center", va="center_baseline", fontsize=8, color=THEME["paper"])
            drawn.set(zorder=4, in_layout=False)
        axes.margins(x=0.12, y=0.14)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if max(costs) < 1000 * min(costs) else (1.0,)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        named = sorted(zip(points, [row.model for row, _, _ in known], strict=True), key=lambda pair: pair[0] not in front)
        intervals = [[(x, e.low), (x, e.high)] for x, (_, _, e) in zip(costs, known, strict=True)]
        _name_points(figure, axes, named, [front, *intervals])
    return figure


def _columns(axes: Axes, group: int, placed: list[tuple[float, Estimate]]) -> None:
    """Draw all of one tie group above their costs."""
    costs, colour = [cost for cost, _ in placed], _colour(group)
    lows, values, highs = zip(*((e.low, e.value, e.high) for _, e in placed), strict=True)
    axes.vlines(costs, lows, highs, colors=colour, linewidth=1.5)
    axes.plot(costs, values, MARKERS[group % GROUP_COLOURS], color=colour, markersize=13, zorder=3)


def _front(points: list[Point]) -> list[Point]:
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or point[1] > front[-1][1]:
            front.append(point)
    return front


def _name_points(figure: Figure, axes: Axes, named: list[tuple[Point, str]], lines: list[list[Point]]) -> None:
    """Write each name by its point where it covers no mark, no other name and least of the lines; without room, not at all."""
    ConstrainedLayoutEngine().execute(figure)  # settles the layout, which the room for a name depends on
    frame = axes.get_window_extent()
    side = 14 * figure.dpi / 72
    marks = axes.transData.transform([point for point, _ in named])
    figure.set_layout_engine("none")  # it is settled, and names do not move it
    taken = [Bbox.from_bounds(x - side / 2, y - side / 2, side, side) for x, y in marks]
    pieces = [axes.transData.transform(piece) for line in lines for piece in itertools.pairwise(line)]
    steps = [max(int(np.ptp(piece, axis=0).max()), 2) for piece in pieces]  # a pixel each
    drawn = np.concatenate([np.linspace(piece[0], piece[1], count) for piece, count in zip(pieces, steps, strict=True)])
    for (point, name), mark in zip(named[:MOST_NAMES], marks, strict=False):
        free: list[tuple[int, int, Place, Bbox]] = []
        size = _size(figure, short(name))
        for order, place in enumerate(_PLACES):
            box = _box(size, mark, place, figure.dpi / 72)
            if frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1) and not box.count_overlaps(taken):
                covered = np.all((drawn > box.min) & (drawn < box.max), axis=1).sum()
                free.append((int(covered), order, place, box))
                if not covered:  # no later place is better
                    break
        if free:
            *_, (offset, horizontal, vertical), box = min(free, key=lambda found: found[:2])
            taken.append(box)
            leader = {"arrowstyle": "-", "color": THEME["muted"], "linewidth": 0.7} if abs(offset[1]) > 20 else None
            style: dict[str, Any] = {"ha": horizontal, "va": vertical, "fontsize": NAME_SIZE, "zorder": 5, "arrowprops": leader}
            axes.annotate(short(name), point, xytext=offset, textcoords="offset points", **style).set_in_layout(False)


def _size(figure: Figure, text: str) -> Point:
    """Return how many pixels a name takes to the right and up."""
    drawn = figure.text(0, 0, text, fontsize=NAME_SIZE)
    box = drawn.get_window_extent()
    drawn.remove()
    return box.width, box.height


def _box(size: Point, mark: np.ndarray, place: Place, pixels: float) -> Bbox:
    """Return what a name of some size covers at its place beside a mark; a point is so many pixels."""
    (right, up), horizontal, vertical = place
    x = mark[0] + right * pixels - size[0] * {"left": 0.0, "center": 0.5, "right": 1.0}[horizontal]
    y = mark[1] + up * pixels - size[1] * {"bottom": 0.0, "center": 0.5, "top": 1.0}[vertical]
    return Bbox.from_bounds(x, y, *size)


# Where a name may stand: points to the right and up, and how it is aligned there; the far ones get a leader to their mark.
_PLACES: tuple[Place, ...] = (
    ((10, 0), "left", "center"),
    ((-10, 0), "right", "center"),
    ((0, 10), "center", "bottom"),
    ((0, -10), "center", "top"),
    ((6, 9), "left", "bottom"),
    ((-6, 9), "right", "bottom"),
    ((6, -9), "left", "top"),
    ((-6, -9), "right", "top"),
    *(((x, y), side, "center") for y in (26, -26, 44, -44) for x, side in ((14, "left"), (-14, "right"))),
)


def short(name: str) -> str:
    """Shorten a name that would leave no room to draw in, such as a path; the table beside the figure has it whole."""
    return name if len(name) <= 56 else f"{name[:30]}…{name[-25:]}"


def _group(groups: list[int], row: RankedModel) -> int:
    return groups.index(row.tie_group) if row.tie_group in groups else 0


def _colour(group: int) -> str:
    return THEME[f"group-{group % GROUP_COLOURS}"]


def as_svg(figure: Figure) -> str:
    """Return a figure as SVG whose text stays text; the same figure gives the same bytes, with no date among them."""
    stream = io.StringIO()
    with style():
        # savefig would draw twice, the first time for a layout that the second settles itself
        dpi, left_out = figure.dpi, dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(stream, metadata=left_out)  # type: ignore[no-untyped-call]
        figure.set_dpi(dpi)
    return stream.getvalue()
