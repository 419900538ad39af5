"""The columns of the table of a ranking."""

from collections.abc import Callable
from typing import Any

from itm.core.rankings import DataRanking, RankedModel
from itm.report.wording import in_order

Value = Callable[[RankedModel], Any]


def columns(data: DataRanking) -> dict[str, list[Any]]:
    """Return one list per column, with one item per model. What is not known is None."""
    rows = in_order(data.rows)
    found: dict[str, Value] = {
        "rank": lambda row: row.rank,
        "model": lambda row: row.model,
        "status": lambda row: row.status,
        "score": lambda row: row.estimate and row.estimate.value,
        "low": lambda row: row.estimate and row.estimate.low,
        "high": lambda row: row.estimate and row.estimate.high,
        "tie_group": lambda row: row.tie_group,
        "tied_with_first": lambda row: row.rank == 1 or row.tied_with_first,
        **{name: _score(name) for name in dict.fromkeys(name for row in rows for name in row.scores)},
        "predicted_accuracy": lambda row: row.predicted and row.predicted.value,
        "predicted_low": lambda row: row.predicted and row.predicted.low,
        "predicted_high": lambda row: row.predicted and row.predicted.high,
        "gmacs": lambda row: row.facts and row.facts.gmacs,
        "parameters": lambda row: row.facts and row.facts.parameters,
        "latency_ms": lambda row: row.speed and row.speed.latency_ms,
        "images_per_second": lambda row: row.speed and row.speed.images_per_second,
        "width": lambda row: row.facts and row.facts.width,
        "input_size": lambda row: str(row.facts.input_size) if row.facts else None,
        "family": lambda row: row.facts and row.facts.family,
        "pretraining": lambda row: row.facts and row.facts.pretraining,
        "weights": lambda row: row.weights,
        "reason": lambda row: "; ".join(f"{failure.step}: {failure.reason}" for failure in row.failures) or None,
    }
    return {name: [value(row) for row in rows] for name, value in found.items()}


def _score(name: str) -> Value:
    return lambda row: row.scores[name].value if name in row.scores else None
