"""A benchmark in a terminal: what is in place before it runs, and how far the scores agree with the accuracies after."""

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from itm.benchmark.itm20.files import what_to_do
from itm.benchmark.itm20.pool import CHECKPOINTS, NAME
from itm.benchmark.itm20.run import Pool
from itm.core.text import fixed
from itm.report.terminal import plain_table, print_whole


def print_pool(pool: Pool, console: Console) -> None:
    """Print a line a checkpoint and a data set, what stands for it and whether it is in place, and below what to do."""
    unsure = {checkpoint.row for checkpoint in pool.checkpoints if not checkpoint.certain}
    ready = f"{len(pool.models)} of {len(pool.checkpoints)} checkpoints and {len(pool.sources)} of {len(pool.data)} data sets"
    console.print(Text(f"{NAME}: {ready} in place", "bold"), soft_wrap=True)
    for heading, items in (("row", pool.weights), ("data set", pool.data)):
        lines = _lines(heading, "stands for it (? not certain)" if heading == "row" else "published as", "state")
        for item in items:
            mark = "?" if item.name in unsure else ""
            lines.add_row(*map(Text, (item.name, item.stands_for + mark, item.state)), style="" if item.place else "red")
        print_whole(lines, console)
    if len(pool.models) < len(pool.checkpoints) or len(pool.sources) < len(pool.data):
        for line in what_to_do(pool.root):
            console.print(Text(line), soft_wrap=True)
    console.print()


def print_agreement(table: pl.DataFrame, pool: Pool, console: Console) -> None:
    """Print tau_w a score and data set with its mean and the mean regret, and which identities the comparison rests on."""
    names = table["data"].unique(maintain_order=True).to_list()
    console.print(
        Text("tau_w with the accuracies of the file (SciPy's convention), and mean regret in points", "bold"), soft_wrap=True
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
    """Return what has to be known beside the numbers: who takes part, who failed, and whose identity is a guess."""
    models = pool.models
    found = [f"Compared: {len(models)} of the table's {len(CHECKPOINTS)} checkpoints."]
    if absent := [item.name for item in pool.weights if not item.place]:
        found.append(f"Without weights here and left out: {', '.join(absent)}.")
    if lost := int(table["failed"].sum()):
        found.append(f"Values missing: {lost}; a model without one counts as the last.")
    if tied := int(table["tied"].sum()):
        found.append(f"Values shared with another model: {tied}; every tie counts against the score.")
    if guessed := [checkpoint for checkpoint in models if not checkpoint.certain]:
        found.append("Not certain to be what was fine-tuned:")
        found += [f"  {checkpoint.row} = {checkpoint.name}: {checkpoint.note}" for checkpoint in guessed]
    return found


def _number(value: float | None) -> str:
    return "-" if value is None else fixed(value, 2)


def _lines(*headings: str, right: int = 0) -> Table:
    lines = plain_table()
    for number, heading in enumerate(headings):
        lines.add_column(heading, justify="right" if number >= len(headings) - right else "left", overflow="fold")
    return lines
