"""The figure of a regression: the predictions of the first model against the targets."""

import numpy as np
from matplotlib.figure import Figure

from itm.core.rankings import DataRanking
from itm.report.figures import THEME, WIDTH, short, style

MOST_TARGETS = 4
PER_ROW = 2


def predicted_against_true(ranking: DataRanking) -> Figure | None:
    """Draw held-out predictions of the first model, or return None if there are none; at most `MOST_TARGETS` targets."""
    drawn = list(ranking.points.items())[:MOST_TARGETS]
    if not drawn:
        return None
    columns = min(PER_ROW, len(drawn))
    rows = -(-len(drawn) // columns)
    with style():
        figure = Figure(figsize=(WIDTH, 3.4 * rows + 0.4), layout="constrained")
        title = f"{short(ranking.data)}: predictions of {short(ranking.rows[0].model)}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        for number, (name, points) in enumerate(drawn, start=1):
            true, predicted = np.array(points).T
            axes = figure.add_subplot(rows, columns, number)
            axes.set_title(short(name))
            axes.set_xlabel("target")
            axes.set_ylabel("prediction")
            axes.grid(True)
            axes.set_axisbelow(True)
            ends = [true.min(), true.max()]
            axes.plot(ends, ends, color=THEME["muted"], linewidth=1, linestyle="--")
            axes.plot(true, predicted, "o", color=THEME["group-0"], markersize=3.5, alpha=0.7)
    return figure


def points_caption(ranking: DataRanking) -> str:
    """Return the caption of the predictions."""
    left = len(ranking.points) - MOST_TARGETS
    more = f" The other {left} targets are in the table of each target." if left > 0 else ""
    return (
        f"Each point is an image that {ranking.rank_by} was not trained on. On the dashed line, the prediction is right.{more}"
    )
