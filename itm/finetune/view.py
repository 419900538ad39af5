"""Fine-tuned models in a terminal: the means of all pairs, and what became of the first of a ranking."""

from collections.abc import Iterable

import polars as pl
from rich.console import Console
from rich.text import Text

from itm.finetune.line import line
from itm.finetune.records import Confirmed, Finetuned
from itm.report.terminal import plain_table, print_whole


def print_means(means: pl.DataFrame, failed: Iterable[Finetuned], console: Console) -> None:
    """Print a line a pair and protocol, the best on test first, and below them the failures."""
    lines = plain_table()
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
    if len(means):
        print_whole(lines, console)
    for pair in failed:
        console.print(Text(line(pair)), soft_wrap=True)


def percent(share: float | None) -> str:
    """Write a share of images in per cent."""
    return "-" if share is None else f"{100 * share:.1f}"


def sentence(confirmed: Confirmed) -> str:
    """Say whether the ranking's first is the pick, and whether its lead over the next could be chance."""
    if confirmed.pick is None:
        return f"For {confirmed.data}, no fine-tuning came to an end."
    chance = "within noise" if confirmed.within_noise else "beyond noise"
    lead = f"For {confirmed.data}, fine-tuning picks {confirmed.pick}"
    if confirmed.pick == confirmed.first:
        rest = f", the first by {confirmed.rank_by}"
        if confirmed.other is not None:
            rest += f"; its lead over {confirmed.other} on val ({_points(confirmed)}) is {chance}"
    elif confirmed.other is None:
        rest = f"; {confirmed.first}, the first by {confirmed.rank_by}, failed"
    else:
        rest = (
            f", not the first by {confirmed.rank_by}; its lead over {confirmed.first} on val ({_points(confirmed)}) is {chance}"
        )
    return f"{lead}{rest}."


def print_confirmed(confirmed: Iterable[Confirmed], console: Console) -> None:
    """Print a line a fine-tuned model and the answer, one table a data set."""
    for one in confirmed:
        lines = plain_table(title=Text(f"{one.data}: fine-tuned, %"))
        for heading in ("rank", "model", one.rank_by, "val", "test", "test, head only", "learning rate"):
            lines.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True, overflow="fold")
        for row in one.candidates:
            test = percent(row.test_accuracy) + (f" ± {percent(row.test_sd)}" if row.test_sd is not None else "")
            rate = "-" if row.learning_rate is None else f"{row.learning_rate:.2g}"
            cells = (f"{row.score:.4f}", percent(row.val_accuracy), test, percent(row.head_test_accuracy), rate)
            lines.add_row(*map(Text, (str(row.rank), row.model, *cells)), style="bold" if row.model == one.pick else "")
        print_whole(lines, console)
        for row in one.candidates:
            if row.reason:
                console.print(Text(f"{row.model}: {row.reason}"), soft_wrap=True)
        console.print(Text(sentence(one), "bold"), soft_wrap=True)


def _points(confirmed: Confirmed) -> str:
    return f"{100 * (confirmed.lead or 0):.1f} points, chance alone up to {100 * (confirmed.noise or 0):.1f}"
