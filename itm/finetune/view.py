"""Fine-tuned models in a terminal: the means of all pairs, and whether they confirm a ranking."""

from collections.abc import Iterable

import polars as pl
from rich.console import Console
from rich.text import Text

from itm.core.types import Outcome
from itm.finetune.confirm import Confirmed
from itm.finetune.table import line
from itm.report.terminal import plain_table, print_whole


def print_means(means: pl.DataFrame, failed: Iterable[Outcome], console: Console) -> None:
    """Print one line per pair and protocol, best test accuracy first, with the failures below."""
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
    return "-" if share is None else f"{100 * share:.1f}"


def sentence(confirmed: Confirmed) -> str:
    """Return whether fine-tuning confirms the first model of a ranking, and whether the lead may be chance."""
    first, pick = confirmed.first, confirmed.pick
    if pick is None:
        return f"For {confirmed.data}, no fine-tuning finished."
    if pick == first:
        text = f"For {confirmed.data}, fine-tuning picks {pick}, which is also the first model by {confirmed.rank_by}."
    elif confirmed.other is None:
        return f"For {confirmed.data}, fine-tuning picks {pick}. {first}, the first model by {confirmed.rank_by}, failed."
    else:
        text = f"For {confirmed.data}, fine-tuning picks {pick} instead of {first}, the first model by {confirmed.rank_by}."
    return f"{text} {_lead(confirmed)}" if confirmed.other is not None else text


def print_confirmed(confirmed: Iterable[Confirmed], console: Console) -> None:
    """Print one table per data set, with one line per fine-tuned model, and the answer."""
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


def _lead(confirmed: Confirmed) -> str:
    lead, noise = (f"{100 * (value or 0):.1f} points" for value in (confirmed.lead, confirmed.noise))
    chance = "may be chance" if confirmed.within_noise else "is more than chance"
    return f"Its validation accuracy is {lead} above that of {confirmed.other}, which {chance} (up to {noise})."
