"""A ranking in a terminal: one table a data set, then every failure with its reason in full."""

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from itm.core.rankings import DataRanking, RankedModel, Ranking
from itm.core.text import compact, decimals, fixed, interval
from itm.report.details import balance, commonest_class, control_name, controlled, scored_splits
from itm.report.wording import answer, contents, in_order, shortfalls, status, thrift, tied_with_first

NARROW = 100  # columns; below, size, speed and the control make room for the names
LEAST = 66  # columns; below, a line is longer than the terminal is wide, since a name cut short is of no use


def ranking_tables(ranking: Ranking, wide: bool = True) -> list[Table]:
    """Return one table a data set, in the order of the ranking; without `wide`, no control, and GMACs for all costs."""
    scored = scored_splits(ranking)
    return [_table(data, ranking.rank_by, scored, wide) for data in ranking.data_sets]


def print_ranking(ranking: Ranking, console: Console) -> None:
    """Print every data set's table and below it its failures; into a pipe, lines are as long as their content."""
    tables = ranking_tables(ranking, wide=not console.is_terminal or console.width >= NARROW)
    for number, (data, table) in enumerate(zip(ranking.data_sets, tables, strict=True)):
        if number:
            console.print()
        if not console.is_terminal:
            table.width = console.measure(table, options=console.options.update(width=10_000)).maximum
        elif console.width < LEAST:
            table.width = LEAST
        if table.width:
            console.print(table, crop=False, no_wrap=True, overflow="ignore")
        else:
            console.print(table)
        for models, step, reason in shortfalls(data):
            console.print()
            _paragraph(console, Text(f"Failed{f' at {step}' if step else ''}: {', '.join(models)}", style="bold"), 0)
            _paragraph(console, Text(reason), 2)


def _paragraph(console: Console, text: Text, indent: int) -> None:
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(Text(" " * indent) + text, soft_wrap=True)


def _table(data: DataRanking, rank_by: str, scored: str, wide: bool) -> Table:
    control = wide and controlled(data)
    table = Table(
        title=Text(f"{data.data}: {contents(data, scored)}"),
        title_justify="left",
        title_style="bold",
        caption=_caption(data),
        caption_justify="left",
        caption_style="",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("model", overflow="fold", no_wrap=False)
    table.add_column(Text(f"{rank_by}, 95 %"), no_wrap=True)
    for heading in (*([control_name(rank_by)] if control else []), "tie", "GMACs", *(("M par.", "img/s") if wide else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    places = decimals(row.estimate for row in data.rows)
    tied = {row.model for row in tied_with_first(data)}
    for row in in_order(data.rows):
        style = "bold green" if row.rank == 1 else "green" if row.model in tied else "dim" if row.rank is None else ""
        table.add_row(*_cells(row, places, wide, control), style=style)
    return table


def _cells(row: RankedModel, places: int, wide: bool, control: bool) -> list[Text]:
    estimate, facts = row.estimate, row.facts
    reached = estimate.details.get("control") if estimate else None
    texts = [
        "-" if row.rank is None else str(row.rank),
        row.model,
        f"{fixed(estimate.value, places)} {interval(estimate, places)}" if estimate else "-",
        *(["-" if reached is None else fixed(reached, places)] if control else []),
        "-" if row.tie_group is None else str(row.tie_group),
        compact(facts.gmacs if facts else None),
        *([compact(facts.parameters / 1e6 if facts else None), compact(row.images_per_second)] if wide else []),
        status(row),
    ]
    return [Text(text) for text in texts]


def _caption(data: DataRanking) -> Text:
    every = max(len(data.rows), 1)
    lines = ((str(answer(data, named=every)), thrift(data)), (commonest_class(data), balance(data)))
    return Text("\n".join(" ".join(filter(None, line)) for line in lines if any(line)))
