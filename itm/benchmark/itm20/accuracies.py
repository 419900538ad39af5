"""Published accuracies, read from a file that the user names, and how well scores agree with them."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from itm.agreement import regret, weighted_tau, worst_case
from itm.benchmark.contenders import mean_rank_elsewhere
from itm.benchmark.itm20.pool import CHECKPOINTS, DATA_SETS, TABLE
from itm.core.errors import AgreementError, ParamsError, did_you_mean
from itm.core.rankings import DataRanking, Ranking

log = logging.getLogger(__name__)

COLUMNS = ("model", "dataset", "accuracy_percent")
ELSEWHERE = "(other data sets)"  # the control that looks at no image
SCHEMA = {
    "data": pl.String,
    "score": pl.String,
    "models": pl.Int64,
    "failed": pl.Int64,
    "tied": pl.Int64,
    "tau_w": pl.Float64,
    "tau_w_by_truth": pl.Float64,
    "regret": pl.Float64,
    "reason": pl.String,
}

Accuracies = Mapping[tuple[str, str], float]  # in per cent, by data set and row


def read_accuracies(path: Path) -> Accuracies:
    """Read a CSV file with the columns model, dataset and accuracy_percent; a column `benchmark` must say `itm_hub`.

    Raises
    ------
    ParamsError
        If the file cannot be read, lacks a column, holds nothing of this table, a value twice, or one that is no percentage.
    """
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ParamsError(f"{path}: cannot be read as CSV ({error}); give the file of accuracies.") from error
    for column in COLUMNS:
        if column not in table.columns:
            hint = did_you_mean(column, table.columns)
            raise ParamsError(f"{path}: there is no column {column!r}{hint} Needed: {', '.join(COLUMNS)}.")
    if "benchmark" in table.columns:
        table = table.filter(benchmark=TABLE)
    own = table.filter(
        pl.col("model").is_in([c.row for c in CHECKPOINTS]), pl.col("dataset").is_in([d.name for d in DATA_SETS])
    )
    if own.is_empty():
        raise ParamsError(f"{path}: holds no accuracy of {TABLE}; its models are called {CHECKPOINTS[0].row} and so on.")
    if len(own) < len(table):
        log.warning(
            "%s: %d of %d accuracies are of other models or data sets and ignored", path, len(table) - len(own), len(table)
        )
    found: dict[tuple[str, str], float] = {}
    for model, data, text in own.select(COLUMNS).iter_rows():
        if (data, model) in found:
            raise ParamsError(f"{path}: {model} has two accuracies on {data}; leave one.")
        found[data, model] = _percentage(text, f"{path}: {model} on {data}")
    return found


def _percentage(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 100:
        raise ParamsError(f"{where} has the accuracy {text!r}; it must be a number from 0 to 100.")
    return value


def compare(ranking: Ranking, accuracies: Accuracies, rows: Mapping[str, str]) -> pl.DataFrame:
    """Return how each score of a ranking agrees with `accuracies` on each data set, a row a pair of them; see `SCHEMA`.

    `rows` gives the table's row of a model by its name. A model without a value is last and ties go against the score, so that
    what fails is never dropped. Both conventions of tau_w are given, and the regret in points of accuracy. The score
    `(other data sets)` is a control that sees no image: a model's mean rank by accuracy on all data sets but this one.
    """
    found: list[dict[str, Any]] = []
    for data in ranking.data_sets:
        models = {row.model: rows[row.model] for row in data.rows if (data.data, rows[row.model]) in accuracies}
        truth = np.array([accuracies[data.data, row] for row in models.values()])
        for score, values in _values(data, ranking, accuracies, models):
            known = {"data": data.data, "score": score, "models": len(models)}
            try:
                order = worst_case(truth, values)
                known |= {"failed": order.failed, "tied": order.tied}
                if order.failed == len(truth):
                    raise AgreementError(data.reason or f"no model has a value of {score}")
                found.append(known | _agreement(truth, order.ranks))
            except AgreementError as error:
                found.append(known | {"reason": str(error)})
    return pl.DataFrame(found, schema=SCHEMA, orient="row")


def _values(
    data: DataRanking, ranking: Ranking, accuracies: Accuracies, models: Mapping[str, str]
) -> Iterator[tuple[str, np.ndarray]]:
    estimates = {row.model: row.scores for row in data.rows}
    for score in (facts.name for facts in ranking.scores):
        values = [estimates[model][score].value if score in estimates[model] else np.nan for model in models]
        yield score, np.array(values)
    sets = [data.data, *dict.fromkeys(name for name, _ in accuracies if name != data.data)]
    if len(sets) > 1:
        known = np.array([[accuracies.get((name, row), np.nan) for row in models.values()] for name in sets])
        yield ELSEWHERE, mean_rank_elsewhere(known)[0]


def _agreement(truth: np.ndarray, ranks: np.ndarray) -> dict[str, float]:
    return {
        "tau_w": weighted_tau(truth, ranks),
        "tau_w_by_truth": weighted_tau(truth, ranks, convention="truth"),
        "regret": regret(truth, ranks),
    }
