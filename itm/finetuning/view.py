"""Fine-tuned models in a terminal: the means of all pairs."""

from collections.abc import Iterable

import polars as pl
from rich.console import Console
from rich.text import Text

from itm.core.types import Outcome
from itm.finetuning.accuracy import accuracy
from itm.finetuning.table import line
from itm.report.confirmation import percent_interval
from itm.report.terminal import plain_table, print_whole


def print_means(means: pl.DataFrame, failed: Iterable[Outcome], console: Console) -> None:
    """Print one line per pair and protocol, best test accuracy first, with the failures below."""
    lines = plain_table()
    for heading in ("data", "model", "protocol", "val", "test, 95 %", "learning rate", "runs", "s"):
        left = heading in ("data", "model", "protocol")
        lines.add_column(heading, justify="left" if left else "right", no_wrap=True, overflow="fold")
    before = ""
    for row in means.sort("data", "protocol", "test_accuracy", descending=[False, False, True]).iter_rows(named=True):
        data = "" if row["data"] == before else row["data"]
        before = row["data"]
        test = percent_interval(accuracy(row["test_each"], row["test_images"], row["metric"]))
        more = (f"{row['learning_rate']:.2g}", str(row["seeds"]), f"{row['seconds']:.0f}")
        lines.add_row(*map(Text, (data, row["model"], row["protocol"], percent(row["val_accuracy"]), test, *more)))
    if len(means):
        print_whole(lines, console)
    for pair in failed:
        console.print(Text(line(pair)), soft_wrap=True)


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
