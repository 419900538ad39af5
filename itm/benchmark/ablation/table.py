"""Terminal output of an ablation: one line per setting, then all failures."""

from typing import Any

import polars as pl
from rich.console import Console
from rich.text import Text

from itm.core.text import format_fixed
from itm.report.terminal import plain_table, print_whole

PLACES = 3


def print_ablation(table: pl.DataFrame, orders: pl.DataFrame, console: Console) -> None:
    """Print one line per setting: the value of a single model with its interval, or the mean of several and their order."""
    models = table["model"].unique(maintain_order=True)
    subject = models[0] if len(models) == 1 else f"{len(models)} models"
    console.print(
        Text(f"{table['data'][0]}: itm of {subject}, one option varied at a time (*: default)", "bold"), soft_wrap=True
    )
    lines = plain_table()
    headings = ("itm, 95 %", "control", "s") if len(models) == 1 else ("mean", "control", "s", "tau_w", "scored", "first")
    for heading in ("axis", "setting", *headings):
        left = heading in ("axis", "setting", "itm, 95 %", "first")
        lines.add_column(heading, justify="left" if left else "right", no_wrap=heading != "first", overflow="fold")
    previous = ""
    for order in orders.iter_rows(named=True):
        part = table.filter(axis=order["axis"], setting=order["setting"])
        axis = "" if order["axis"] == previous else order["axis"]
        cells = _single(part.row(0, named=True)) if len(models) == 1 else _several(part, order["tau_w"])
        mark = " *" if order["default"] else ""
        lines.add_row(*map(Text, (axis, order["setting"] + mark, *cells)), style="bold" if mark else "")
        previous = order["axis"]
    print_whole(lines, console)
    _print_failures(table, console)


def _single(row: dict[str, Any]) -> tuple[str, ...]:
    if row["status"] == "failed":
        return "undefined", "-", "-"
    interval = f"{_number(row['value'])} [{_number(row['low'])}, {_number(row['high'])}]"
    return interval, _number(row["control"]), f"{row['seconds']:.2f}"


def _several(part: pl.DataFrame, tau: float | None) -> tuple[str, ...]:
    scored = part.filter(status="ok").sort("value", descending=True, maintain_order=True)
    count = f"{len(scored)} of {len(part)}"
    order = "-" if tau is None else format_fixed(tau, 2)
    if scored.is_empty():
        return "-", "-", "-", order, count, "-"
    means = scored.select(pl.col("value", "control", "seconds").mean()).row(0, named=True)
    return _number(means["value"]), _number(means["control"]), f"{means['seconds']:.2f}", order, count, scored["model"][0]


def _number(value: Any) -> str:
    return "-" if value is None else format_fixed(value, PLACES)


def _print_failures(table: pl.DataFrame, console: Console) -> None:
    """Print each reason with its models and settings. A model that failed at all settings is listed without them."""
    groups: dict[tuple[str, str], list[str]] = {}
    for model in table["model"].unique(maintain_order=True):
        rows = table.filter(model=model)
        for reason in rows["reason"].drop_nulls().unique(maintain_order=True):
            part = rows.filter(reason=reason)
            settings = [f"{row['axis']} {row['setting']}" for row in part.iter_rows(named=True)]
            where = "" if len(part) == len(rows) else f" at {', '.join(settings)}"
            groups.setdefault((where, reason), []).append(model)
    for (where, reason), models in groups.items():
        console.print()
        console.print(Text(f"Failed{where}: {', '.join(models)}", style="bold"), soft_wrap=True)
        console.print(Text(f"  {reason}"), soft_wrap=True)
