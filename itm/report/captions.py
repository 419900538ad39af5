"""Captions of the figures of a ranking. They describe what is drawn, and nothing else."""

import numpy as np
from matplotlib.figure import Figure

from itm.core.rankings import DataRanking
from itm.report.figures import GROUP_COLOURS, MOST_MODELS
from itm.report.wording import in_order, ranked, tie_groups


def bars_caption(ranking: DataRanking, figure: Figure) -> str:
    """Return the caption of the scores with their intervals."""
    shown = in_order(ranking.rows)[:MOST_MODELS]
    lines = ["Marks are scores, bars are 95 % confidence intervals. The first model is bold."]
    drawn = " ".join(figure.axes[0].get_legend_handles_labels()[1])
    if "control" in drawn:
        lines.append("Upright ticks are the control.")
    if "baseline" in drawn:
        lines.append("The dotted line is the baseline.")
    lines += _groups(ranking)
    if any(row.estimate is None for row in shown):
        lines.append("Models without a score failed.")
    return " ".join(lines)


def cost_caption(ranking: DataRanking, figure: Figure) -> str:
    """Return the caption of the scores against cost."""
    known = [row for row in ranked(ranking) if row.facts and row.estimate]
    if not known:
        return "The cost of no ranked model is known."
    lines = ["Numbers are ranks, upright lines are 95 % confidence intervals."]
    if np.size(figure.axes[0].lines[0].get_xdata()) > 1:  # the first line is the dashed one
        lines.append("The dashed line connects the models with a higher score than every cheaper model.")
    if len(known) > MOST_MODELS:
        lines.append(f"Only the first {MOST_MODELS} models and those on the dashed line are drawn.")
    return " ".join([*lines, *_groups(ranking)])


def _groups(ranking: DataRanking) -> list[str]:
    groups = len(tie_groups(ranking))
    if groups < 2:
        return []
    repeated = f"; after {GROUP_COLOURS} groups they repeat" if groups > GROUP_COLOURS else ""
    return [f"Models of one tie group share colour and marker{repeated}."]
