"""The command `itm evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from itm.cli.options import ParamsFile, read_params, report_errors
from itm.cli.pipelines import find_pipeline

Column = Annotated[str | None, typer.Option(help="Name of its column in --table. Default: the usual names.")]


def evaluate(
    measured: Annotated[
        Path | None, typer.Option(help="Folder with accuracies.csv, scores.parquet and models.csv. Default: from params.yaml.")
    ] = None,
    table: Annotated[Path | None, typer.Option(help="Evaluate on this table of accuracies (CSV or Parquet) instead.")] = None,
    scores: Annotated[Path | None, typer.Option(help="Table of scores for --table.")] = None,
    score: Annotated[list[str] | None, typer.Option(help="Column of --table with a score. Can be repeated.")] = None,
    model: Column = None,
    data: Column = None,
    accuracy: Column = None,
    pool: Column = None,
    resamples: Annotated[
        int | None, typer.Option("--resamples", "--draws", help="Number of resamples per confidence interval.")
    ] = None,
    quiet: Annotated[bool, typer.Option(help="Write the tables without printing them.")] = False,
    params: ParamsFile = None,
) -> None:
    """Evaluate scores and controls against accuracies after fine-tuning."""
    with report_errors():
        chosen, store = read_params(None, params, evaluate={"measured": measured, "resamples": resamples})
        from rich.console import Console

        console = Console()
        if table is not None:
            from itm.benchmark.published import evaluate_table
            from itm.benchmark.published_view import print_evaluation

            columns = {"model": model, "data": data, "accuracy": accuracy, "pool": pool}
            resamples, seed = chosen.evaluate.resamples, chosen.evaluate.seed
            reports = evaluate_table(
                table, scores_path=scores, score_columns=score or (), resamples=resamples, seed=seed, **columns
            )
            print_evaluation(reports, console)
            return
        from itm.benchmark.measurements import read_measurements

        read_measurements(chosen.evaluate.measured)  # an error in them is found before anything heavy is imported
        from itm.benchmark import desk
        from itm.benchmark.standings_table import print_standings

        run = find_pipeline("evaluate", chosen)
        pools, problem = run(chosen, store) if run else (desk.run(chosen, store), "")
        if not quiet:
            for results in pools:
                print_standings(results, console)
            console.print(f"summary, tables and figures: {store.evaluation}", soft_wrap=True, highlight=False, markup=False)
        if problem:
            typer.secho(f"not tracked: {problem}", fg="red", err=True)
