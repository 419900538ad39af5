"""The candidates of one data set side by side in a terminal: all scores, costs, and what is known of them otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from itm.core.rankings import DataRanking, RankedModel
from itm.core.text import compact, decimals, format_fixed, interval
from itm.report.terminal import plain_table, print_whole
from itm.report.wording import answer, describe_data, group_failures, in_order, status, tied_with_first


@dataclass(frozen=True)
class Extra:
    """Columns from outside of a ranking, by model.

    `finetuned` has the test accuracy after fine-tuning. `before` has the rank and the value of an earlier ranking; None leaves
    the columns out.
    """

    finetuned: Mapping[str, float] = field(default_factory=dict)
    before: Mapping[str, tuple[int | None, float | None]] | None = None


def print_comparison(data: DataRanking, scored: str, extra: Extra, console: Console) -> None:
    """Print the table and the answer. In a pipe, lines are as long as their content."""
    print_whole(_table(data, scored, extra), console)
    for models, step, reason in group_failures(data):
        console.print(Text(f"Failed{f' at {step}' if step else ''}: {', '.join(models)}. {reason}"), soft_wrap=True)
    console.print(Text(str(answer(data))), soft_wrap=True)


def _table(data: DataRanking, scored: str, extra: Extra) -> Table:
    table = plain_table(title=Text(f"{data.data}: {describe_data(data, scored)}"))
    table.title_style = "bold"
    others = list(dict.fromkeys(name for row in data.rows for name in row.scores if name != data.rank_by))
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("model", overflow="fold")
    table.add_column(Text(f"{data.rank_by}, 95 %"), no_wrap=True)
    then = () if extra.before is None else ("# then", f"{data.rank_by} then")
    finetuned = ("fine-tuned",) if extra.finetuned else ()
    for heading in (*then, *others, *finetuned, "tie", "ms", "M params", "GMACs"):
        table.add_column(Text(heading), justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    places = {name: decimals(row.scores.get(name) for row in data.rows) for name in (data.rank_by, *others)}
    tied = {row.model for row in tied_with_first(data)}
    for row in in_order(data.rows):
        style = "bold green" if row.rank == 1 else "green" if row.model in tied else "dim" if row.rank is None else ""
        table.add_row(*map(Text, _cells(row, data.rank_by, others, places, extra)), style=style)
    return table


def _cells(row: RankedModel, rank_by: str, others: list[str], places: Mapping[str, int], extra: Extra) -> list[str]:
    estimate, facts = row.estimate, row.facts
    score = f"{format_fixed(estimate.value, places[rank_by])} {interval(estimate, places[rank_by])}" if estimate else "-"
    values = {name: own.value for name, own in row.scores.items()}
    rank, value = (extra.before or {}).get(row.model, (None, None))
    then = [_whole(rank), _fixed(value, places[rank_by])] if extra.before is not None else []
    accuracy = extra.finetuned.get(row.model)
    return [
        _whole(row.rank),
        row.model,
        score,
        *then,
        *(_fixed(values.get(name), places[name]) for name in others),
        *(["-" if accuracy is None else f"{100 * accuracy:.1f} %"] if extra.finetuned else []),
        _whole(row.tie_group),
        compact(row.speed.latency_ms if row.speed else None),
        compact(facts.parameters / 1e6 if facts else None),
        compact(facts.gmacs if facts else None),
        status(row),
    ]


def _whole(number: int | None) -> str:
    return "-" if number is None else str(number)


def _fixed(value: float | None, places: int) -> str:
    return "-" if value is None else format_fixed(value, places)
