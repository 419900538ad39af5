"""The command `itm evaluate`. Heavy imports stand inside, as in all commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli.options import ParamsFile, errors_told, settings
from itm.cli.pipelines import installed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from itm.benchmark.standings import PoolStandings
    from itm.core.params import Params
    from itm.store.layout import Store

Column = Annotated[str | None, typer.Option(help="Its column in the table; found by its name where nothing is said.")]


def evaluate(
    measured: Annotated[
        Path | None, typer.Option(help="Folder of accuracies.csv, scores.parquet and models.csv. Default: params.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="Judge by this table of accuracies (CSV or Parquet) and nothing of ours.")
    ] = None,
    scores: Annotated[Path | None, typer.Option(help="Table of scores that belongs to --table.")] = None,
    score: Annotated[list[str] | None, typer.Option(help="A column of --table that is a score; may be repeated.")] = None,
    model: Column = None,
    data: Column = None,
    accuracy: Column = None,
    pool: Column = None,
    draws: Annotated[int | None, typer.Option(help="Resamples of models and data sets that an interval is made of.")] = None,
    quiet: Annotated[bool, typer.Option(help="Write the tables and print none.")] = False,
    params: ParamsFile = None,
) -> None:
    """Judge scores, beside controls, by accuracies after fine-tuning: does the ranking hold, and how sure is that?"""
    with errors_told():
        chosen, store = settings(None, params, evaluate={"measured": measured, "draws": draws})
        if table is not None:
            columns = {"model": model, "data": data, "accuracy": accuracy, "pool": pool}
            _print_reports(table, scores, score or (), columns, chosen)
            return
        found, problem = _run(chosen, store)
        if not quiet:
            _print(found, store)
        if problem:
            typer.secho(f"not tracked: {problem}", fg="red", err=True)


def _run(params: "Params", store: "Store") -> "tuple[tuple[PoolStandings, ...], str]":
    """Hand over to an installed pipeline, or judge plainly where there is none or `inline` is asked for."""
    from itm.benchmark import desk

    if run := installed("evaluate", params):
        result: tuple[tuple[PoolStandings, ...], str] = run(params, store)
        return result
    return desk.run(params, store), ""


def _print(found: "tuple[PoolStandings, ...]", store: "Store") -> None:
    from rich.console import Console

    from itm.benchmark.standings_table import print_standings

    console = Console()
    for pool in found:
        print_standings(pool, console)
    console.print(f"summary, tables and pictures: {store.evaluation}", soft_wrap=True, highlight=False)


def _print_reports(
    table: Path, scores: Path | None, score_columns: "Sequence[str]", columns: "dict[str, str | None]", params: "Params"
) -> None:
    from rich.console import Console

    from itm.benchmark.published import evaluate_table
    from itm.benchmark.published_view import print_evaluation

    chosen = params.evaluate
    reports = evaluate_table(
        table, scores_path=scores, score_columns=score_columns, draws=chosen.draws, seed=chosen.seed, **columns
    )
    print_evaluation(reports, Console())
