"""How scores agree with a published table of accuracies, in a terminal: one table a pool, then what is to be known of it."""

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from itm.benchmark.published import PoolReport
from itm.benchmark.standings import Standing
from itm.core.text import counted, fixed
from itm.report.terminal import plain_table, print_whole

HEADINGS = ("tau_w, 95 %", "lowest", "on", "pools of 10", "regret", "top-1", "top-3")
STYLES = {"score": "", "control": "dim", "ceiling": "dim"}
PLACES = 2
EXPLAINED = (
    "tau_w is SciPy's weightedtau; failed models come last, and ties count as wrong. Pools of 10 are sub-pools: mean and "
    "standard deviation. Regret is in points of accuracy. Top-1 and top-3 are the shares of data sets whose best model is "
    "among the first. mean_rank_elsewhere orders the models by their accuracies on the other data sets alone."
)


def print_evaluation(reports: Iterable[PoolReport], console: Console) -> None:
    """Print a table a pool, scores first and then the controls and ceilings that they are to be compared with."""
    for number, report in enumerate(reports):
        if number:
            console.print()
        console.print(Text(_title(report), style="bold"), soft_wrap=True)
        if report.standings:
            table = evaluation_table(report)
            print_whole(table, console)
        for note in (_chance(report), *report.notes):
            _indented(console, note)
    console.print()
    console.print(Text(EXPLAINED), soft_wrap=not console.is_terminal)


def _indented(console: Console, line: str) -> None:
    if console.is_terminal:
        console.print(Padding(Text(line), (0, 0, 0, 2)))
    else:
        console.print(Text("  " + line), soft_wrap=True)


def evaluation_table(report: PoolReport) -> Table:
    """Return the table of a pool; failures and ties have columns where there are any."""
    table = plain_table()
    counts = [name for name in ("failed", "tied") if any(getattr(one, name) for one in report.standings)]
    table.add_column("", no_wrap=True)
    for heading in (*HEADINGS, *counts):
        left = heading in ("tau_w, 95 %", "on")
        table.add_column(heading, justify="left" if left else "right", no_wrap=heading != "on", overflow="fold")
    for one in report.standings:
        cells = [one.name, *_cells(one), *(str(getattr(one, name)) for name in counts)]
        table.add_row(*map(Text, cells), style=STYLES[one.kind], end_section=one is _last(report, one.kind))
    return table


def _last(report: PoolReport, kind: str) -> Standing:
    return [one for one in report.standings if one.kind == kind][-1]


def _cells(one: Standing) -> tuple[str, ...]:
    spread = one.sub_pools
    return (
        f"{_number(one.tau.mean)} [{_number(one.tau.low)}, {_number(one.tau.high)}]",
        _number(one.worst),
        one.worst_set,
        "-" if spread is None else f"{_number(spread.mean)} ± {_number(spread.deviation)}",
        _number(one.regret),
        f"{one.top1:.0%}",
        f"{one.top3:.0%}",
    )


def _number(value: float) -> str:
    return fixed(value, PLACES)


def _title(report: PoolReport) -> str:
    lacking = f", {counted(report.missing, 'pair')} without an accuracy" if report.missing else ""
    size = f"{counted(report.models, 'model')} on {counted(report.data_sets, 'data set')}"
    return f"{report.name}: {size}{lacking}; against {report.accuracy}"


def _chance(report: PoolReport) -> str:
    if report.chance is None or not report.standings:
        return "Nothing to compare: no score, and no other accuracy."
    return f"One in twenty random orders reaches a mean tau_w of {_number(report.chance)}."
