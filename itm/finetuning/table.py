"""Fine-tuning runs as a table with one row per run and one per failure, and their summary per pair."""

import logging
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

import polars as pl

from itm.core.rankings import DataRanking
from itm.core.types import Outcome, Protocol, Run
from itm.kinds import METRICS
from itm.store.files import exists, read_table, write_table
from itm.store.layout import Store

log = logging.getLogger(__name__)

PREFERRED: tuple[Protocol, ...] = ("full", "lora", "last_block", "norm", "head")  # whose accuracy stands for a model
LOST = 0.01  # accuracy; a smaller loss may be chance
_TYPES: dict[Any, type[pl.DataType]] = {str: pl.String, int: pl.Int64, float: pl.Float64, float | None: pl.Float64}
COLUMNS = [field for field in fields(Run) if field.name != "cached"]
SCHEMA: dict[str, type[pl.DataType]] = {column.name: _TYPES.get(column.type, pl.String) for column in COLUMNS}
SCHEMA |= {"status": pl.String, "reason": pl.String}


def line(pair: Outcome) -> str:
    """Return the accuracies of a pair in one line, or why it failed."""
    name = f"{pair.model} on {pair.data}"
    if pair.failures:
        return f"{name}: failed at {pair.reason}"
    parts = []
    for protocol in dict.fromkeys(run.protocol for run in pair.runs):
        own = [run for run in pair.runs if run.protocol == protocol]
        accuracies = " ".join(f"{100 * run.test_accuracy:.1f}" for run in own)
        named = "" if own[0].metric == "accuracy" else f"{METRICS[own[0].metric].label} "
        parts.append(f"{protocol} {named}{accuracies} % at {own[0].learning_rate:g}")
    seconds = sum(run.seconds for run in pair.runs)
    cached = all(run.cached for run in pair.runs)
    return f"{name}: {', '.join(parts)} ({'cached' if cached else f'{seconds:.0f} s'})"


def runs_table(pairs: Iterable[Outcome]) -> pl.DataFrame:
    """Return one row per run, and one row with its reason per failure."""
    rows = []
    for pair in pairs:
        rows += [asdict(run) | {"status": "ok"} for run in pair.runs]
        known = {"data": pair.data, "model": pair.model, "status": "failed"}
        rows += [known | {"reason": f"{failure.step}: {failure.reason}"} for failure in pair.failures]
    for row in rows:
        row.pop("cached", None)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("data", "model", "protocol", "seed")


def write_runs(pairs: Iterable[Outcome], store: Store) -> pl.DataFrame:
    table = runs_table(pairs)
    write_table(store.finetuned, table)
    return table


def finetuned_accuracies(data: DataRanking, store: Store, head: bool = True) -> dict[str, float]:
    """Return the mean test accuracy of the models of a ranking that were fine-tuned, by model.

    Runs with other images or other weights do not count. Without full fine-tuning, the accuracy is that of the next protocol of
    `PREFERRED`, or that of the head alone unless `head` is false.
    """
    if not exists(store.finetuned):
        return {}
    weights = pl.DataFrame([(row.model, row.weights) for row in data.rows], ["model", "weights"], orient="row")
    runs = read_table(store.finetuned).filter(data=data.data, data_hash=data.hash).join(weights, on=["model", "weights"])
    rows = [row for row in means(runs).iter_rows(named=True) if head or row["protocol"] != "head"]
    rows.sort(key=lambda row: PREFERRED.index(row["protocol"]), reverse=True)  # later rows replace earlier ones
    return {row["model"]: row["test_accuracy"] for row in rows}


def means(runs: pl.DataFrame) -> pl.DataFrame:
    """Return one row per data set, model and protocol: means over seeds, and the test accuracy of each seed."""
    return (
        runs.filter(pl.col("status") == "ok")
        .group_by("data", "model", "protocol", maintain_order=True)
        .agg(
            pl.len().alias("seeds"),
            pl.col("val_accuracy").mean(),
            pl.col("test_accuracy").mean(),
            pl.col("test_accuracy").alias("test_each"),
            pl.col("test_images").first(),
            (pl.col("metric").first() if "metric" in runs.columns else pl.lit("accuracy").first()).alias("metric"),
            pl.col("learning_rate").first(),
            pl.col("seconds").sum(),
        )
    )


def below_head(runs: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs with both protocols, sorted by how much test accuracy full fine-tuning loses against the head.

    The columns are `data`, `model`, `full`, `head`, `lost`, and `below`: whether it loses more than one point. Full
    fine-tuning starts from the head. If it is often below the head, its learning rates or steps are wrong: one pair in ten is
    usual. The share is ``below_head(runs)["below"].mean()``.
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
    """Log the share of pairs whose full fine-tuning is below the head, and the worst of them."""
    pairs = below_head(runs)
    if pairs.is_empty():
        return
    below = pairs.filter("below")
    text = "full fine-tuning is more than a point below the head alone in %d of %d pairs; it should be at most one in ten"
    level = logging.WARNING if len(below) > len(pairs) / 10 else logging.INFO
    log.log(level, text, len(below), len(pairs))
    for row in below.head(worst).iter_rows(named=True):
        log.log(level, "  %(model)s on %(data)s: full %(full).3f, head %(head).3f", row)
