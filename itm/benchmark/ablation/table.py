"""An ablation in a terminal: a line a setting, then every failure with its reason in full."""

from typing import Any

import polars as pl
from rich.console import Console
from rich.text import Text

from itm.core.text import fixed
from itm.report.terminal import plain_table, print_whole

PLACES = 3


def print_ablation(table: pl.DataFrame, orders: pl.DataFrame, console: Console) -> None:
    """Print a line a setting: one model's value with its interval, or the mean of several and what became of their order."""
    models = table["model"].unique(maintain_order=True)
    who = models[0] if len(models) == 1 else f"{len(models)} models"
    console.print(
        Text(f"{table['data'][0]}: itm of {who}, one option varied at a time (* the default)", "bold"), soft_wrap=True
    )
    lines = plain_table()
    headings = ("itm, 95 %", "control", "s") if len(models) == 1 else ("mean", "control", "s", "tau_w", "scored", "first")
    for heading in ("axis", "setting", *headings):
        left = heading in ("axis", "setting", "itm, 95 %", "first")
        lines.add_column(heading, justify="left" if left else "right", no_wrap=heading != "first", overflow="fold")
    before = ""
    for order in orders.iter_rows(named=True):
        part = table.filter(axis=order["axis"], setting=order["setting"])
        axis = "" if order["axis"] == before else order["axis"]
        cells = _of_one(part.row(0, named=True)) if len(models) == 1 else _of_several(part, order["tau_w"])
        mark = " *" if order["default"] else ""
        lines.add_row(*map(Text, (axis, order["setting"] + mark, *cells)), style="bold" if mark else "")
        before = order["axis"]
    print_whole(lines, console)
    _print_failures(table, console)


def _of_one(row: dict[str, Any]) -> tuple[str, ...]:
    if row["status"] == "failed":
        return "undefined", "-", "-"
    interval = f"{_number(row['value'])} [{_number(row['low'])}, {_number(row['high'])}]"
    return interval, _number(row["control"]), f"{row['seconds']:.2f}"


def _of_several(part: pl.DataFrame, tau: float | None) -> tuple[str, ...]:
    scored = part.filter(status="ok").sort("value", descending=True, maintain_order=True)
    count = f"{len(scored)} of {len(part)}"
    order = "-" if tau is None else fixed(tau, 2)
    if scored.is_empty():
        return "-", "-", "-", order, count, "-"
    means = scored.select(pl.col("value", "control", "seconds").mean()).row(0, named=True)
    return _number(means["value"]), _number(means["control"]), f"{means['seconds']:.2f}", order, count, scored["model"][0]


def _number(value: Any) -> str:
    return "-" if value is None else fixed(value, PLACES)


def _print_failures(table: pl.DataFrame, console: Console) -> None:
    """Print each reason with the models and settings it holds for; a model that failed as a whole has no settings."""
    alike: dict[tuple[str, str], list[str]] = {}
    for model in table["model"].unique(maintain_order=True):
        rows = table.filter(model=model)
        for reason in rows["reason"].drop_nulls().unique(maintain_order=True):
            part = rows.filter(reason=reason)
            settings = [f"{row['axis']} {row['setting']}" for row in part.iter_rows(named=True)]
            where = "" if len(part) == len(rows) else f" at {', '.join(settings)}"
            alike.setdefault((where, reason), []).append(model)
    for (where, reason), models in alike.items():
        console.print()
        console.print(Text(f"Failed{where}: {', '.join(models)}", style="bold"), soft_wrap=True)
        console.print(Text(f"  {reason}"), soft_wrap=True)
