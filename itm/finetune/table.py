"""Fine-tuning runs as a table, a row a run and a row a failure, and what it says of each pair."""

import logging
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

import polars as pl

from itm.core.types import Failure
from itm.finetune.records import Finetuned, Run
from itm.store.files import write_table
from itm.store.layout import Store

log = logging.getLogger(__name__)

LOST = 0.01  # of accuracy: less below the head may be chance
_TYPES: dict[Any, type[pl.DataType]] = {str: pl.String, int: pl.Int64, float: pl.Float64}
COLUMNS = [field for field in fields(Run) if field.name != "cached"]
SCHEMA: dict[str, type[pl.DataType]] = {column.name: _TYPES.get(column.type, pl.String) for column in COLUMNS}
SCHEMA |= {"status": pl.String, "reason": pl.String}


def runs_table(finetuned: Iterable[Finetuned]) -> pl.DataFrame:
    """Return a row a run, and a row with a reason a pair that failed."""
    rows = []
    for pair in finetuned:
        rows += [asdict(run) | {"status": "ok"} for run in pair.runs]
        if pair.failure:
            failed = {"status": "failed", "reason": f"{pair.failure.step}: {pair.failure.reason}"}
            rows.append({"data": pair.data, "model": pair.model} | failed)
    for row in rows:
        row.pop("cached", None)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("data", "model", "protocol", "seed")


def write_runs(finetuned: Iterable[Finetuned], store: Store) -> pl.DataFrame:
    """Write the table of runs and return it."""
    table = runs_table(finetuned)
    write_table(store.finetuned, table)
    return table


def means(runs: pl.DataFrame) -> pl.DataFrame:
    """Return a row a data set, model and protocol: means over seeds, and the spread of the test accuracy (sd; null for one)."""
    return (
        runs.filter(pl.col("status") == "ok")
        .group_by("data", "model", "protocol", maintain_order=True)
        .agg(
            pl.len().alias("seeds"),
            pl.col("val_accuracy").mean(),
            pl.col("test_accuracy").mean(),
            pl.col("test_accuracy").std().alias("test_sd"),
            pl.col("learning_rate").first(),
            pl.col("seconds").sum(),
        )
    )


def below_head(runs: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs that have both protocols, by how much test accuracy full fine-tuning loses to the head, worst first.

    Columns `data`, `model`, `full`, `head`, `lost`, and `below`, which says whether that is more than a point. Full
    fine-tuning starts from the head, so where many pairs are below it, its learning rates or steps are wrong: one pair in ten
    is usual. The share is ``below_head(runs)["below"].mean()``.
    """
    pairs = means(runs).select("data", "model", "protocol", "test_accuracy")
    full, head = (pairs.filter(protocol=name).drop("protocol").rename({"test_accuracy": name}) for name in ("full", "head"))
    return (
        full.join(head, on=["data", "model"])
        .with_columns(lost=pl.col("head") - pl.col("full"))
        .with_columns(below=pl.col("lost") > LOST + 1e-12)
        .sort("lost", "data", "model", descending=[True, False, False])
    )


def log_below_head(runs: pl.DataFrame, worst: int = 5) -> None:
    """Log the share of pairs that full fine-tuning left below the head, and the worst of them."""
    pairs = below_head(runs)
    if pairs.is_empty():
        return
    below = pairs.filter("below")
    text = "full fine-tuning is more than a point below the head alone in %d of %d pairs; it should be at most one in ten"
    level = logging.WARNING if len(below) > len(pairs) / 10 else logging.INFO
    log.log(level, text, len(below), len(pairs))
    for row in below.head(worst).iter_rows(named=True):
        log.log(level, "  %(model)s on %(data)s: full %(full).3f, head %(head).3f", row)


def failed(data: str, failure: Failure) -> Finetuned:
    """Return what a failure of a pair, or of a model before it met any data, is on a data set."""
    return Finetuned(data, failure.model, (), failure)
