"""The command line. Heavy imports stand inside the commands, so that `itm --help` answers at once."""

from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli.ablate import ablate
from itm.cli.benchmark import benchmark
from itm.cli.evaluate import evaluate
from itm.cli.finetune import confirm as confirm_first
from itm.cli.finetune import finetune
from itm.cli.options import (
    AllowFailures,
    BatchSize,
    Code,
    Data,
    Device,
    MaxImages,
    Models,
    ParamsFile,
    Precision,
    RankingName,
    Resume,
    Scores,
    Zoo,
    errors_told,
    settings,
)
from itm.cli.pipelines import installed
from itm.cli.refresh import refresh, serve
from itm.cli.show import doctor, models, scores
from itm.cli.status import status

if TYPE_CHECKING:
    from itm.core.params import Params
    from itm.core.rankings import Ranking
    from itm.store.layout import Store

app = typer.Typer(
    help="Which pre-trained vision model should I fine-tune for my data?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def rank(
    data: Data = None,
    zoo: Zoo = None,
    model: Models = None,
    code: Code = None,
    score: Scores = None,
    by: Annotated[str | None, typer.Option(help="The score that decides the order.")] = None,
    max_images: MaxImages = None,
    device: Device = None,
    precision: Precision = None,
    batch_size: BatchSize = None,
    resume: Resume = None,
    runner: Annotated[str | None, typer.Option(help="inline (no Prefect, no tracking), threads, processes or dask.")] = None,
    workers: Annotated[int | None, typer.Option(help="Pairs computed side by side.")] = None,
    allow_failures: AllowFailures = False,
    confirm: Annotated[int | None, typer.Option(min=1, help="Fine-tune so many of the first models too.")] = None,
    quiet: Annotated[bool, typer.Option(help="Leave the table to `itm show`.")] = False,
    params: ParamsFile = None,
) -> None:
    """Rank the zoo on data sets: ingest, extract, score, rank, report, track.

    Leaves with status 1 if a model or a data set failed; the rest is ranked all the same.
    """
    with errors_told():
        chosen, store = settings(
            data,
            params,
            zoo,
            model,
            code,
            data={"max_images": max_images},
            extract={"device": device, "precision": precision, "batch_size": batch_size, "resume": resume},
            score={"names": tuple(score) if score else None, "rank_by": by or (score[0] if score else None)},
            runner={"kind": runner, "workers": workers},
        )
        ranking, problem = _run(chosen, store)
        if not quiet:
            _print(ranking, store)
        if problem:
            typer.secho(f"not tracked: {problem}", fg="red", err=True)
        failed = any(data.reason or any(row.failures for row in data.rows) for data in ranking.data_sets)
        if confirm is not None:
            failed |= confirm_first(chosen, store, confirm)
    if failed and not allow_failures:
        raise typer.Exit(1)


def _run(params: "Params", store: "Store") -> "tuple[Ranking, str]":
    """Hand over to an installed pipeline, or run the library plainly where there is none or `inline` is asked for.

    Returns the ranking, and what kept it from being tracked.
    """
    from itm.run import pipeline
    from itm.run.plan import check

    check(params)
    if run := installed("rank", params):
        ranked: tuple[Ranking, str] = run(params, store)
        return ranked
    return pipeline.run(params, store, show_progress=True), ""


def _print(ranking: "Ranking", store: "Store") -> None:
    from rich.console import Console

    from itm.report.table import print_ranking

    console = Console()
    print_ranking(ranking, console)
    again = f"   again: itm show {store.ranking_name}" if store.ranking_name else ""
    console.print(f"page: {store.reports / 'index.html'}   scores: {store.scores}{again}", soft_wrap=True, highlight=False)


@app.command()
def ingest(
    data: Data = None, max_images: MaxImages = None, allow_failures: AllowFailures = False, params: ParamsFile = None
) -> None:
    """Read data sets, set bad images aside, split, and write the indexes."""
    with errors_told():
        chosen, store = settings(data, params, data={"max_images": max_images})
        from itm.data.index import read_index
        from itm.data.ingest_all import check_names, ingest_all

        check_names(chosen.data.sets)
        store.make_folders()
        store.sweep()
        found, failures = ingest_all(chosen.data, store)
        for ref in found:
            aside = ", ".join(f"{count} {kind}" for kind, count in ref.set_aside.items()) or "none"
            typer.echo(f"{ref.name}: {ref.images} images, {len(ref.classes)} classes, set aside: {aside} -> {ref.index}")
            for row in read_index(ref).filter(status="set aside").iter_rows(named=True):
                typer.echo(f"  {row['path']}: {row['reason']}")
    if failures and not allow_failures:
        raise typer.Exit(1)


@app.command()
def extract(
    data: Data = None,
    zoo: Zoo = None,
    model: Models = None,
    code: Code = None,
    max_images: MaxImages = None,
    device: Device = None,
    precision: Precision = None,
    batch_size: BatchSize = None,
    resume: Resume = None,
    params: ParamsFile = None,
) -> None:
    """Compute the embeddings of every model on every data set, one pass each."""
    with errors_told():
        chosen, store = settings(
            data,
            params,
            zoo,
            model,
            code,
            data={"max_images": max_images},
            extract={"device": device, "precision": precision, "batch_size": batch_size, "resume": resume},
        )
        failed = _extract_and_score(chosen.model_copy(update={"score": chosen.score.model_copy(update={"names": ()})}), store)
    if failed:
        raise typer.Exit(1)


@app.command()
def score(
    data: Data = None,
    zoo: Zoo = None,
    model: Models = None,
    code: Code = None,
    score: Scores = None,
    resume: Resume = None,
    params: ParamsFile = None,
) -> None:
    """Compute scores of every pair, extracting what is missing, and print them."""
    with errors_told():
        by = {"rank_by": score[0]} if score else {}
        chosen, store = settings(
            data, params, zoo, model, code, extract={"resume": resume}, score={"names": tuple(score) if score else None} | by
        )
        failed = _extract_and_score(chosen, store)
    if failed:
        raise typer.Exit(1)


def _extract_and_score(params: "Params", store: "Store") -> bool:
    """Run all pairs, print a line each, and say whether anything failed."""
    from itm.features.devices import share_cores
    from itm.run import pipeline
    from itm.run.plan import check, plan
    from itm.store.hash_cache import remembered

    check(params)
    share_cores(1)
    with remembered(store):
        planned = plan(params, store)
    failed = bool(planned.failed_data or planned.failed_models)
    for model, data in planned.pairs:
        outcome = pipeline.run_pair(model, data, params, store, show_progress=True)
        if outcome.features and not params.score.names:
            how = "cached" if outcome.features.cached else f"{outcome.features.images_per_second:.0f} images/s"
            typer.echo(f"{model.name} on {data.name}: {outcome.features.rows} rows ({how}) -> {outcome.features.path}")
        for value in outcome.scores:
            how = "cached" if value.cached else f"{value.seconds:.2f} s"
            typer.echo(f"{model.name} on {data.name}: {value.score} {value.value:.4f} ({how})")
        failed |= bool(outcome.failures)
    return failed


app.command()(ablate)
app.command()(benchmark)
app.command()(evaluate)
app.command()(finetune)
app.command()(refresh)
app.command()(serve)
app.command()(models)
app.command()(scores)
app.command()(status)
app.command()(doctor)


@app.command()
def report(name: RankingName = None, params: ParamsFile = None) -> None:
    """Write the page of a ranking again."""
    with errors_told():
        _, store = settings(None, params)
        store = store.of_ranking(name) if name else store
        from itm.report.page import write_page
        from itm.store.ranking_file import read_ranking

        typer.echo(f"page: {write_page(read_ranking(store), store.reports)}")


@app.command()
def show(name: RankingName = None, params: ParamsFile = None) -> None:
    """Print a ranking."""
    with errors_told():
        _, store = settings(None, params)
        store = store.of_ranking(name) if name else store
        from itm.store.ranking_file import read_ranking

        _print(read_ranking(store), store)
