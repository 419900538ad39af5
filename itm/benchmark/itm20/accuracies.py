"""Published accuracies from a file of the user, and their agreement with scores."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from itm.agreement import regret, weighted_tau, worst_case
from itm.benchmark.itm20.pool import CHECKPOINTS, DATA_SETS, TABLE
from itm.benchmark.predictors import mean_rank_elsewhere
from itm.core.errors import AgreementError, ParamsError, cause, did_you_mean
from itm.core.rankings import DataRanking, Ranking

log = logging.getLogger(__name__)

COLUMNS = ("model", "dataset", "accuracy_percent")
ELSEWHERE = "(other data sets)"  # a control without images
SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("data", "score"), pl.String),
    **dict.fromkeys(("models", "failed", "tied"), pl.Int64),
    **dict.fromkeys(("tau_w", "tau_w_by_truth", "regret"), pl.Float64),
    "reason": pl.String,
}

Accuracies = Mapping[tuple[str, str], float]  # in percent, by data set and row


def read_accuracies(path: Path) -> Accuracies:
    """Read a CSV file with the columns model, dataset and accuracy_percent. Rows of other benchmarks are skipped.

    Raises
    ------
    ParamsError
        If the file cannot be read, or a column or an accuracy is missing, duplicated or outside 0 to 100.
    """
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ParamsError(f"{path}: cannot be read as CSV ({cause(error)}); give a file of accuracies.") from error
    for column in COLUMNS:
        if column not in table.columns:
            hint = did_you_mean(column, table.columns)
            raise ParamsError(f"{path}: has no column {column!r}{hint} Required: {', '.join(COLUMNS)}.")
    if "benchmark" in table.columns:
        table = table.filter(benchmark=TABLE)
    own = table.filter(
        pl.col("model").is_in([c.row for c in CHECKPOINTS]), pl.col("dataset").is_in([d.name for d in DATA_SETS])
    )
    if own.is_empty():
        raise ParamsError(f"{path}: has no accuracy of {TABLE}; its models have names such as {CHECKPOINTS[0].row}.")
    if len(own) < len(table):
        log.warning(
            "%s: ignoring %d of %d accuracies, which are of other models or data sets", path, len(table) - len(own), len(table)
        )
    accuracies: dict[tuple[str, str], float] = {}
    for model, data, text in own.select(COLUMNS).iter_rows():
        if (data, model) in accuracies:
            raise ParamsError(f"{path}: {model} has two accuracies on {data}; keep one.")
        accuracies[data, model] = _percentage(text, f"{path}: {model} on {data}")
    return accuracies


def _percentage(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 100:
        raise ParamsError(f"{where} has the accuracy {text!r}; it must be a number from 0 to 100.")
    return value


def compare(ranking: Ranking, accuracies: Accuracies, rows: Mapping[str, str]) -> pl.DataFrame:
    """Return the agreement of each score with `accuracies`, one row per score and data set (see `SCHEMA`).

    `rows` maps the name of a model to its row of the benchmark. Failed models are last, and ties count against the score. The
    table has both conventions of tau_w, and the regret in points of accuracy. The score `(other data sets)` is a control
    without images: the mean rank of the accuracies on the other data sets.
    """
    results: list[dict[str, Any]] = []
    for data in ranking.data_sets:
        models = {row.model: rows[row.model] for row in data.rows if (data.data, rows[row.model]) in accuracies}
        truth = np.array([accuracies[data.data, row] for row in models.values()])
        for score, values in _values(data, ranking, accuracies, models):
            result: dict[str, Any] = {"data": data.data, "score": score, "models": len(models)}
            try:
                order = worst_case(truth, values)
                result |= {"failed": order.failed, "tied": order.tied}
                if order.failed == len(truth):
                    raise AgreementError(data.reason or f"no model has a value of {score}")
                result |= {
                    "tau_w": weighted_tau(truth, order.ranks),
                    "tau_w_by_truth": weighted_tau(truth, order.ranks, convention="truth"),
                    "regret": regret(truth, order.ranks),
                }
            except AgreementError as error:
                result["reason"] = str(error)
            results.append(result)
    return pl.DataFrame(results, schema=SCHEMA, orient="row")


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
