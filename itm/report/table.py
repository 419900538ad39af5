"""A ranking in a terminal: one table per data set, with the failures below it."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from itm.core.confirmations import Confirmed
from itm.core.rankings import DataRanking, RankedModel, Ranking
from itm.core.text import compact, decimals, format_fixed, interval
from itm.core.variants import split_variant
from itm.report.confirmation import caption, cells, headings, of_data, verdict
from itm.report.details import baseline, control_name, controlled, not_applicable, note, scored_splits
from itm.report.exclusions import describe_exclusions
from itm.report.predictions import PREDICTED, PREDICTED_WIDTH, has_predictions, percent, percent_interval
from itm.report.terminal import plain_table, print_whole
from itm.report.wording import answer, cheapest_tied, describe_data, group_failures, in_order, status, tied_with_first

NARROW = 108  # columns; a narrower terminal shows neither parameters, speed nor control
LEAST = 66  # columns; in a narrower terminal, lines are longer than the terminal: names are never cut


def ranking_tables(ranking: Ranking, wide: bool = True, confirmed: Sequence[Confirmed] = ()) -> list[Table]:
    """Return one table per data set; without `wide`, it has neither the control nor any cost but GMACs."""
    scored = scored_splits(ranking)
    return [_table(data, scored, wide, of_data(data.data, confirmed)) for data in ranking.data_sets]


def print_ranking(ranking: Ranking, console: Console, confirmed: Sequence[Confirmed] = ()) -> None:
    """Print the table and the failures of each data set. Lines that go into a pipe are as long as their content.

    What fine-tuning showed of a data set follows below its table.
    """
    more = PREDICTED_WIDTH if any(map(has_predictions, ranking.data_sets)) else 0
    tables = ranking_tables(ranking, not console.is_terminal or console.width >= NARROW + more, confirmed)
    for number, (data, table) in enumerate(zip(ranking.data_sets, tables, strict=True)):
        if number:
            console.print()
        if not console.is_terminal:
            table.width = console.measure(table, options=console.options.update(width=10_000)).maximum
        elif console.width < LEAST + more:
            table.width = LEAST + more
        if table.width:
            console.print(table, crop=False, no_wrap=True, overflow="ignore")
        else:
            console.print(table)
        for models, step, reason in group_failures(data):
            console.print()
            _paragraph(console, Text(f"Failed{f' at {step}' if step else ''}: {', '.join(models)}", style="bold"), 0)
            _paragraph(console, Text(reason), 2)
        if data.recipe and split_variant(data.rows[0].model)[1]:  # a plain model is built by its name
            console.print()
            console.print(Text(f"How to build {data.rows[0].model}:", "bold"), soft_wrap=True)
            console.print(Text(data.recipe), soft_wrap=True)
        if finetuned := of_data(data.data, confirmed):
            console.print()
            print_confirmed([finetuned], console)
    if excluded := describe_exclusions(ranking):
        console.print()
        _paragraph(console, Text(excluded), 0)


def print_confirmed(confirmed: Iterable[Confirmed], console: Console) -> None:
    """Print one table per data set, with one line per fine-tuned model, and the verdict. The pick is bold, if there is one."""
    for one in confirmed:
        lines = plain_table(title=Text(f"{one.data}: fine-tuned"))
        for heading in ("rank", "model", *headings(one)):
            lines.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True, overflow="fold")
        for row in one.candidates:
            lines.add_row(*map(Text, (str(row.rank), row.model, *cells(row))), style="bold" if row.model == one.pick else "")
        print_whole(lines, console)
        for row in one.candidates:
            if row.reason:
                console.print(Text(f"{row.model}: {row.reason}"), soft_wrap=True)
        if one.finished:
            console.print(Text(caption(one)), soft_wrap=True)
        console.print(Text(verdict(one), "bold"), soft_wrap=True)


def _paragraph(console: Console, text: Text, indent: int) -> None:
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(Text(" " * indent) + text, soft_wrap=True)


def _table(data: DataRanking, scored: str, wide: bool, confirmed: Confirmed | None) -> Table:
    control = wide and controlled(data)
    table = plain_table(title=Text(f"{data.data}: {describe_data(data, scored)}"))
    table.title_style = "bold"
    table.caption, table.caption_justify, table.caption_style = _caption(data, confirmed), "left", ""
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("model", overflow="fold", no_wrap=False)
    table.add_column(Text(f"{data.rank_by}, 95 %"), no_wrap=True)
    for heading in (
        *([control_name(data.rank_by)] if control else []),
        "tie",
        *([PREDICTED] if has_predictions(data) else []),
        "GMACs",
        *(("M params", "ms", "img/s") if wide else ()),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    places = decimals(row.estimate for row in data.rows)
    tied = {row.model for row in tied_with_first(data)}
    for row in in_order(data.rows):
        style = "bold green" if row.rank == 1 else "green" if row.model in tied else "dim" if row.rank is None else ""
        table.add_row(*_cells(row, places, wide, control, has_predictions(data)), style=style)
    return table


def _cells(row: RankedModel, places: int, wide: bool, control: bool, predicted: bool) -> list[Text]:
    estimate, facts = row.estimate, row.facts
    reached = estimate.details.get("control") if estimate else None
    texts = [
        "-" if row.rank is None else str(row.rank),
        row.model,
        f"{format_fixed(estimate.value, places)} {interval(estimate, places)}" if estimate else "-",
        *(["-" if reached is None else format_fixed(reached, places)] if control else []),
        "-" if row.tie_group is None else str(row.tie_group),
        *([_predicted(row)] if predicted else []),
        compact(facts.gmacs if facts else None),
        *(map(compact, (facts.parameters / 1e6 if facts else None, *_speed(row))) if wide else ()),
        status(row),
    ]
    return [Text(text) for text in texts]


def _predicted(row: RankedModel) -> str:
    return f"{percent(row.predicted.value)} {percent_interval(row.predicted)}" if row.predicted else "-"


def _speed(row: RankedModel) -> tuple[float | None, float | None]:
    return (row.speed.latency_ms, row.speed.images_per_second) if row.speed else (None, None)


def _caption(data: DataRanking, confirmed: Confirmed | None) -> Text:
    every = max(len(data.rows), 1)
    lines = (
        (str(answer(data, every, confirmed)), cheapest_tied(data)),
        (baseline(data), note(data)),
        (not_applicable(data),),
    )
    return Text("\n".join(" ".join(filter(None, line)) for line in lines if any(line)))
