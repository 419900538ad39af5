"""The agreement of scores with a published table of accuracies, in a terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from itm.benchmark.published import PoolReport
from itm.benchmark.results import PredictorResult
from itm.benchmark.standings_table import by_kind, with_deviation
from itm.benchmark.verdict import with_bounds
from itm.core.text import format_fixed, pluralize
from itm.report.terminal import plain_table, print_whole

HEADINGS = ("tau_w, 95 %", "lowest", "on", "pools of 10", "regret", "top-1", "top-3")
EXPLAINED = (
    "tau_w is SciPy's weightedtau; failed models are last, and ties count as wrong. Pools of 10 are sub-pools: mean and "
    "standard deviation. Regret is in points of accuracy. Top-1 and top-3 are the shares of data sets whose best model is "
    "ranked first, or among the first three. mean_rank_elsewhere orders the models by their accuracies on the other data sets."
)


def print_evaluation(reports: Iterable[PoolReport], console: Console) -> None:
    """Print one table per pool, first the scores, then the controls and the ceilings."""
    for number, report in enumerate(reports):
        if number:
            console.print()
        console.print(Text(_title(report), style="bold"), soft_wrap=True)
        if report.results:
            print_whole(_table(report.results), console)
        for note in (_chance(report), *report.notes):
            _indented(console, note)
    console.print()
    console.print(Text(EXPLAINED), soft_wrap=not console.is_terminal)


def _indented(console: Console, line: str) -> None:
    if console.is_terminal:
        console.print(Padding(Text(line), (0, 0, 0, 2)))
    else:
        console.print(Text("  " + line), soft_wrap=True)


def _table(results: Sequence[PredictorResult]) -> Table:
    """Return the table of a pool. It has columns for failures and ties if there are any."""
    table = plain_table()
    counts = [name for name in ("failed", "tied") if any(getattr(one, name) for one in results)]
    table.add_column("", no_wrap=True)
    for heading in (*HEADINGS, *counts):
        left = heading in ("tau_w, 95 %", "on")
        table.add_column(heading, justify="left" if left else "right", no_wrap=heading != "on", overflow="fold")
    for kind, own in by_kind(results):
        table.add_section()
        for one in own:
            cells = [one.name, *_cells(one), *(str(getattr(one, name)) for name in counts)]
            table.add_row(*map(Text, cells), style="" if kind == "score" else "dim")
    return table


def _cells(one: PredictorResult) -> tuple[str, ...]:
    return (
        with_bounds(one.tau),
        format_fixed(one.worst, 2),
        one.worst_set,
        with_deviation(one.sub_pools),
        format_fixed(one.regret, 2),
        f"{one.top1:.0%}",
        f"{one.top3:.0%}",
    )


def _title(report: PoolReport) -> str:
    lacking = f", {pluralize(report.missing, 'pair')} without an accuracy" if report.missing else ""
    size = f"{pluralize(report.models, 'model')} on {pluralize(report.data_sets, 'data set')}"
    return f"{report.name}: {size}{lacking}; compared with {report.accuracy}"


def _chance(report: PoolReport) -> str:
    if report.chance is None or not report.results:
        return "Nothing to compare: there is neither a score nor another accuracy."
    return f"5 % of random orders reach a mean tau_w of {format_fixed(report.chance, 2)}."
