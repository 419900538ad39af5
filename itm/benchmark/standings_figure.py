"""Draws how contenders stand in a pool: mean tau_w with its interval, and a small mark for every data set."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from itm.benchmark.standings import PoolStandings
from itm.report.figures import THEME, WIDTH, style

COLOURS = {"score": THEME["group-0"], "control": THEME["group-1"], "ceiling": THEME["muted"]}
MARKERS = {"score": "o", "control": "s", "ceiling": "D"}


def standings_figure(pool: PoolStandings) -> Figure:
    """Draw a line a contender, the highest on top; a dashed line is what one random order in twenty reaches."""
    found = sorted(pool.standings, key=lambda one: one.tau.mean)
    with style():
        figure = Figure(figsize=(WIDTH, 1.5 + 0.22 * len(found)), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(f"{pool.name}: {len(pool.models)} models fine-tuned on {len(pool.sets)} data sets")
        axes.set_xlabel("weighted tau with accuracy after full fine-tuning: mean over data sets, 95 % interval")
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.axvline(0, color=THEME["muted"], linewidth=0.8)
        axes.axvline(pool.chance, color=THEME["muted"], linestyle="--", linewidth=1)
        for place, one in enumerate(found):
            colour = COLOURS[one.kind]
            axes.plot([one.tau.low, one.tau.high], [place, place], color=colour, alpha=0.35, linewidth=4, solid_capstyle="butt")
            axes.plot(one.by_set, np.full(len(one.by_set), place), "|", color=colour, alpha=0.6, markersize=6)
            axes.plot(one.tau.mean, place, MARKERS[one.kind], color=colour, markersize=6)
        axes.set_yticks(range(len(found)), [one.name for one in found])
        for label, one in zip(axes.get_yticklabels(), found, strict=True):
            label.set_color(COLOURS[one.kind])
            label.set_fontweight("bold" if one.name == "itm" else "normal")
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.7, len(found) - 0.3)
        handles = [
            Line2D([], [], color=COLOURS[kind], marker=MARKERS[kind], linewidth=4, alpha=0.8, label=label)
            for kind, label in {"score": "score", "control": "control", "ceiling": "ceiling of the ground truth"}.items()
        ]
        handles.append(Line2D([], [], color=THEME["ink"], marker="|", linestyle="", label="one data set"))
        handles.append(Line2D([], [], color=THEME["muted"], linestyle="--", label="95 % of random orders stay below"))
        figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return figure
