"""The command `itm benchmark`."""

from pathlib import Path
from typing import Annotated

import typer

from itm.cli.options import Device, MaxImages, ParamsFile, Scores, read_params, report_errors

Rows = Annotated[
    list[str] | None, typer.Option("--model", "-m", help="Row of the benchmark, or wildcard. Can be repeated. Default: all.")
]


def benchmark(
    name: Annotated[str, typer.Argument(help="itm20, the benchmark of the ITM paper.")],
    data_root: Annotated[Path, typer.Option(help="Folder with one folder or index per data set, named as printed.")],
    accuracies: Annotated[
        Path | None, typer.Option(help="CSV file of published accuracies: model, dataset, accuracy_percent. None is included.")
    ] = None,
    model: Rows = None,
    score: Scores = None,
    max_images: MaxImages = None,
    device: Device = None,
    params: ParamsFile = None,
) -> None:
    """Rank the checkpoints and data sets of a publication, and compare the scores with published accuracies.

    Missing files are listed with instructions, and the available ones are used. Exits with status 2 if too few are available,
    and with status 1 if a model or data set failed.
    """
    with report_errors():
        scores = {"names": tuple(score) if score else None, "rank_by": score[0] if score else None}
        chosen, _ = read_params(None, params, data={"max_images": max_images}, extract={"device": device}, score=scores)
        from itm.benchmark.itm20 import pool as itm20
        from itm.scores import expand

        itm20.check_name(name)
        expand(chosen.score.names)
        checkpoints = itm20.checkpoints(model or ["*"])
        from rich.console import Console

        from itm.benchmark.itm20 import run, table
        from itm.benchmark.itm20.accuracies import read_accuracies
        from itm.report.table import print_ranking

        published = read_accuracies(accuracies) if accuracies else None
        console = Console()
        pool = run.look(checkpoints, data_root)
        table.print_pool(pool, console)
        chosen, store = run.prepare(pool, chosen)
        ranking, agreement = run.run(pool, chosen, store, published)
        print_ranking(ranking, console)
        console.print()
        if agreement is None:
            console.print("Nothing is compared, because --accuracies FILE is not given.")
        else:
            table.print_agreement(agreement, pool, console)
        again = f"page: {store.reports / 'index.html'}   again: itm show {store.ranking_name}"
        console.print(again, soft_wrap=True, highlight=False, markup=False)
    if any(data.reason or any(row.failures for row in data.rows) for data in ranking.data_sets):
        raise typer.Exit(1)
