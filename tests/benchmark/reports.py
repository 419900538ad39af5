"""Helpers for reports of published tables."""

from io import StringIO

from rich.console import Console

from itm.benchmark.published import PoolReport
from itm.benchmark.published_view import print_evaluation
from itm.benchmark.results import PredictorResult


def by_name(report: PoolReport) -> dict[str, PredictorResult]:
    """Return the results of a pool by predictor."""
    return {one.name: one for one in report.results}


def printed(reports: tuple[PoolReport, ...]) -> str:
    """Return the output for a pipe."""
    console = Console(file=StringIO(), width=40)
    print_evaluation(reports, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()
