"""Terminal output of a benchmark: availability before it runs, and agreement with accuracies afterwards."""

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from itm.benchmark.itm20.files import instructions
from itm.benchmark.itm20.pool import CHECKPOINTS, NAME
from itm.benchmark.itm20.run import Pool
from itm.core.text import format_fixed
from itm.report.terminal import plain_table, print_whole


def print_pool(pool: Pool, console: Console) -> None:
    """Print one line per checkpoint and data set with its availability, and instructions for missing ones."""
    unsure = {checkpoint.row for checkpoint in pool.checkpoints if checkpoint.note}
    ready = f"{len(pool.models)} of {len(pool.checkpoints)} checkpoints and {len(pool.sources)} of {len(pool.data)} data sets"
    console.print(Text(f"{NAME}: {ready} are available", "bold"), soft_wrap=True)
    for heading, items in (("row", pool.weights), ("data set", pool.data)):
        lines = _lines(heading, "checkpoint (? not certain)" if heading == "row" else "published as", "state")
        for item in items:
            mark = "?" if item.name in unsure else ""
            lines.add_row(*map(Text, (item.name, item.identity + mark, item.state)), style="" if item.location else "red")
        print_whole(lines, console)
    if len(pool.models) < len(pool.checkpoints) or len(pool.sources) < len(pool.data):
        for line in instructions(pool.root):
            console.print(Text(line), soft_wrap=True)
    console.print()


def print_agreement(table: pl.DataFrame, pool: Pool, console: Console) -> None:
    """Print tau_w per score and data set, its mean, the mean regret, and the caveats."""
    names = table["data"].unique(maintain_order=True).to_list()
    console.print(
        Text("tau_w (SciPy's convention) with the accuracies of the file, and mean regret in points", "bold"), soft_wrap=True
    )
    lines = _lines("score", *names, "mean", "regret", right=len(names) + 2)
    for score in table["score"].unique(maintain_order=True):
        part = table.filter(score=score)
        values = dict(part.select("data", "tau_w").iter_rows())
        means = part.select(pl.col("tau_w", "regret").mean()).row(0)
        lines.add_row(score, *(_number(values.get(name)) for name in names), *map(_number, means))
    print_whole(lines, console)
    for row in table.filter(pl.col("reason").is_not_null()).iter_rows(named=True):
        console.print(Text(f"{row['score']} on {row['data']}: {row['reason']}"), soft_wrap=True)
    for line in caveats(table, pool):
        console.print(Text(line), soft_wrap=True)


def caveats(table: pl.DataFrame, pool: Pool) -> list[str]:
    """Return notes about the comparison: missing and failed models, ties, and uncertain checkpoints."""
    models = pool.models
    notes = [f"Compared: {len(models)} of {len(CHECKPOINTS)} checkpoints of the table."]
    if missing := [item.name for item in pool.weights if not item.location]:
        notes.append(f"Left out, since their weights are not on this machine: {', '.join(missing)}.")
    if failed := int(table["failed"].sum()):
        notes.append(f"Missing values: {failed}; a model without a value is last.")
    if tied := int(table["tied"].sum()):
        notes.append(f"Tied values: {tied}; every tie counts against the score.")
    if uncertain := [checkpoint for checkpoint in models if checkpoint.note]:
        notes.append("Not certain to be the checkpoint that was fine-tuned:")
        notes += [f"  {checkpoint.row} = {checkpoint.name}: {checkpoint.note}" for checkpoint in uncertain]
    return notes


def _number(value: float | None) -> str:
    return "-" if value is None else format_fixed(value, 2)


def _lines(*headings: str, right: int = 0) -> Table:
    lines = plain_table()
    for number, heading in enumerate(headings):
        lines.add_column(heading, justify="right" if number >= len(headings) - right else "left", overflow="fold")
    return lines
