"""A chart of the ranks of the first models on a data set over past refreshes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from itm.refresh.records import Refresh, Standing
from itm.report.figures import MARKERS, THEME, WIDTH, short, style

MOST_MODELS = 10
MOST_REFRESHES = 30  # about a month; more make lines and dates illegible
MOST_DATES = 8
BELOW = 2  # ranks shown below that of the last model, for lines that come from there
OTHERS = ("group-1", "group-2", "group-3", "muted")


def drawable(history: Sequence[Refresh], data: str) -> bool:
    """Return whether a data set was ranked in the last refresh and in another one that would be drawn."""
    found = [_standing(refresh, data) for refresh in history[-MOST_REFRESHES:]]
    ranked = [standing is not None and standing.winner is not None for standing in found]
    return sum(ranked) > 1 and ranked[-1]


def bump_figure(history: Sequence[Refresh], data: str) -> Figure:
    """Draw one line per model: the first models on `data` in the last refresh of `history`, and the recommended one.

    A line has a gap if the model failed or was missing. A ring marks the model that was recommended at that time. Lines that
    leave the figure come from lower ranks.
    """
    shown = history[-MOST_REFRESHES:]
    standings = [_standing(refresh, data) for refresh in shown]
    now = standings[-1]
    assert now is not None
    last = _ranks(now)
    models = [model for model, rank in last.items() if rank <= MOST_MODELS or model == now.recommended]
    lowest = min(max(last[model] for model in models), MOST_MODELS + 2) + BELOW
    with style():
        figure = Figure(figsize=(WIDTH, 1.2 + 0.27 * lowest), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(f"{short(data)}: {len(shown)} refreshes from {_day(shown[0])} to {_day(shown[-1])}")
        axes.set_ylabel("rank")
        axes.set_xlim(-0.025 * len(shown), 1.025 * len(shown) - 1)
        axes.set_ylim(lowest + 0.2, 0.4)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        known = [_ranks(standing) for standing in standings]
        for number, model in enumerate(models):
            ranks = np.array([ranks.get(model, np.nan) for ranks in known])
            rings = [place for place, one in enumerate(standings) if one is not None and one.recommended == model]
            _line(axes, number, ranks, rings, model == now.recommended)
            _label(axes, len(shown) - 1, last[model], lowest, model, model == now.recommended)
        _dates(axes, shown)
        axes.set_yticks(range(1, lowest + 1))
        axes.tick_params(axis="y", length=0)
    return figure


def _standing(refresh: Refresh, data: str) -> Standing | None:
    return next((standing for standing in refresh.standings if standing.data == data), None)


def _ranks(standing: Standing | None) -> dict[str, int]:
    return {place.model: place.rank for place in standing.places if place.rank is not None} if standing else {}


def _line(axes: Axes, number: int, ranks: np.ndarray, rings: list[int], recommended: bool) -> None:
    colour = THEME["group-0"] if recommended else THEME[OTHERS[number % len(OTHERS)]]
    size = 5 if len(ranks) <= 20 else 3
    axes.plot(
        np.arange(len(ranks)),
        ranks,
        marker=MARKERS[number // len(OTHERS) % len(MARKERS)],
        markersize=size + recommended,
        linewidth=2.6 if recommended else 1.3,
        color=colour,
        alpha=1 if recommended else 0.75,
        zorder=4 if recommended else 3,
        solid_capstyle="round",
    )
    ring = {"s": (size + 6) ** 2, "facecolors": "none", "edgecolors": colour, "linewidths": 1.4, "zorder": 5}
    axes.scatter(rings, ranks[rings], **ring)  # type: ignore[arg-type]


def _label(axes: Axes, place: int, rank: int, lowest: int, model: str, recommended: bool) -> None:
    beyond = rank > lowest
    axes.annotate(
        f"{rank}  {short(model)}" if beyond else short(model),
        (place, min(rank, lowest)),
        xytext=(12, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        fontweight="bold" if recommended else "normal",
        color=THEME["group-0"] if recommended else THEME["ink"],
        annotation_clip=False,
    )


def _dates(axes: Axes, shown: Sequence[Refresh]) -> None:
    """Write at most `MOST_DATES` days below the refreshes, always including the last."""
    step = -(-len(shown) // MOST_DATES)
    places = range(len(shown) - 1, -1, -step)
    axes.set_xticks(places, [_day(shown[place])[5:] for place in places])


def _day(refresh: Refresh) -> str:
    return refresh.started[:10]
