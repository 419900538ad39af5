"""Fine-tuned pairs in a terminal: a line a pair while it works, a table of the means at the end, failures in full."""

from collections.abc import Iterable

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from itm.types import Finetuned


def line(pair: Finetuned) -> str:
    """Return in a line what a pair came to."""
    if pair.failure:
        return f"{pair.model} on {pair.data}: failed at {pair.failure.step}: {pair.failure.reason}"
    told = []
    for protocol in dict.fromkeys(run.protocol for run in pair.runs):
        own = [run for run in pair.runs if run.protocol == protocol]
        accuracies = " ".join(f"{100 * run.test_accuracy:.1f}" for run in own)
        told.append(f"{protocol} {accuracies} % at {own[0].learning_rate:g}")
    seconds = sum(run.seconds for run in pair.runs)
    cached = all(run.cached for run in pair.runs)
    return f"{pair.model} on {pair.data}: {', '.join(told)} ({'cached' if cached else f'{seconds:.0f} s'})"


def print_means(means: pl.DataFrame, failed: Iterable[Finetuned], console: Console) -> None:
    """Print a line a pair and protocol, the best on test first, and below them the failures."""
    lines = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("data", "model", "protocol", "val", "test", "sd", "learning rate", "runs", "s"):
        left = heading in ("data", "model", "protocol")
        lines.add_column(heading, justify="left" if left else "right", no_wrap=True, overflow="fold")
    before = ""
    for row in means.sort("data", "protocol", "test_accuracy", descending=[False, False, True]).iter_rows(named=True):
        data = "" if row["data"] == before else row["data"]
        before = row["data"]
        numbers = (percent(row["val_accuracy"]), percent(row["test_accuracy"]), percent(row["test_sd"]))
        more = (f"{row['learning_rate']:.2g}", str(row["seeds"]), f"{row['seconds']:.0f}")
        lines.add_row(*map(Text, (data, row["model"], row["protocol"], *numbers, *more)))
    if not console.is_terminal:  # into a pipe, lines are as long as their content
        lines.width = console.measure(lines, options=console.options.update(width=10_000)).maximum
    if len(means):
        console.print(lines, crop=False)
    for pair in failed:
        console.print(Text(line(pair)), soft_wrap=True)


def percent(share: float | None) -> str:
    """Write a share of images in per cent."""
    return "-" if share is None else f"{100 * share:.1f}"
