"""Predicted accuracies in words: whole points, because their intervals are many points wide."""

from itm.core.rankings import DataRanking, PredictedAccuracy

PREDICTED = "fine-tuned %"  # the heading of the column in a terminal
PREDICTED_WIDTH = 15  # of the column, with the space beside it


def has_predictions(data: DataRanking) -> bool:
    """Return whether the accuracy of any model was predicted."""
    return any(row.predicted for row in data.rows)


def percent(share: float) -> str:
    """Return a share of 1 in whole percent.

    >>> percent(0.876)
    '88'
    """
    return f"{100 * share:.0f}"


def percent_interval(own: PredictedAccuracy) -> str:
    """Return the 95 % interval in whole percent."""
    return f"[{percent(own.low)}, {percent(own.high)}]"
