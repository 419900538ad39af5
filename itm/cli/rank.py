"""The command `itm rank`."""

from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli import options
from itm.cli.finetune import confirm as confirm_first
from itm.cli.pipelines import find_pipeline
from itm.cli.report import print_result
from itm.cli.trials import say_what_is_kept
from itm.core.errors import ParamsError
from itm.core.extras import missing_packages

if TYPE_CHECKING:
    from itm.core.params import Params
    from itm.core.rankings import Ranking
    from itm.run.current import Inputs

COMMAND = "rank"


def rank(
    data: options.Data = None,
    zoo: options.Zoo = None,
    model: options.Models = None,
    variants: options.Variants = None,
    code: options.Code = None,
    score: options.Scores = None,
    by: Annotated[str | None, typer.Option(help="Score that decides the order.")] = None,
    max_params: options.MaxParams = None,
    max_gmacs: options.MaxGmacs = None,
    max_latency: options.MaxLatency = None,
    max_memory: options.MaxMemory = None,
    licence: options.Licences = None,
    race: options.Race = False,
    max_images: options.MaxImages = None,
    device: options.Device = None,
    precision: options.Precision = None,
    batch_size: options.BatchSize = None,
    resume: options.Resume = None,
    runner: options.RunnerKind = None,
    workers: options.Workers = None,
    allow_failures: options.AllowFailures = False,
    confirm: Annotated[int | None, typer.Option(min=1, help="Also fine-tune this many of the first models.")] = None,
    seeds: options.Seeds = None,
    steps: options.Steps = None,
    budget: options.Budget = None,
    log: options.Log = False,
    quiet: Annotated[bool, typer.Option(help="Do not print the table; `itm show` prints it later.")] = False,
    params: options.ParamsFile = None,
) -> None:
    """Rank the zoo on data sets: ingest, extract, score, rank, report, track.

    Exits with status 1 if a model or a data set failed. All others are ranked.
    """
    with options.report_errors():
        from itm.run.request import first_of

        chosen, store = options.read_params(
            data,
            params,
            zoo,
            model,
            code,
            variants,
            data={"max_images": max_images},
            filters=options.filter_values(max_params, max_gmacs, max_latency, max_memory, licence, race),
            extract={"device": device, "precision": precision, "batch_size": batch_size, "resume": resume},
            score={"names": tuple(score) if score else None, "rank_by": by or first_of(score or ())},
            finetune={"seeds": seeds, "steps": steps},
            runner={"kind": runner, "workers": workers},
        )
        options.only_with_confirm(confirm, seeds=seeds, steps=steps, budget=budget)
        if confirm is not None:
            _check_can_be_confirmed(chosen)
        from itm.run.current import Inputs
        from itm.store.confirmed_file import read_confirmed
        from itm.store.ranking_file import read_ranking

        inputs = Inputs(chosen, store)
        if confirm is None and not log and inputs.unchanged_since(COMMAND):
            typer.echo("nothing changed since this ranking was computed; --log looks at everything again", err=True)
            ranking, problem = read_ranking(store), ""
        else:
            ranking, problem = _rank(inputs)
        if not quiet:
            print_result(ranking, store, () if confirm is not None else read_confirmed(ranking, store))
        say_what_is_kept(chosen, store)
        if problem:
            typer.secho(f"not tracked: {problem}", fg="red", err=True)
        failed = any(data.reason or any(row.failures for row in data.rows) for data in ranking.data_sets)
        if confirm is not None:
            failed |= confirm_first(chosen, store, confirm, budget)
    if failed and not allow_failures:
        raise typer.Exit(1)


def _check_can_be_confirmed(params: "Params") -> None:
    """Raise an error if there are no models to fine-tune."""
    from itm.run.check import has_own_embeddings

    if has_own_embeddings(params.data):
        raise ParamsError("--confirm fine-tunes models, and embeddings come without models; leave --confirm out.")


def _rank(inputs: "Inputs") -> "tuple[Ranking, str]":
    """Rank in the installed pipeline, or without one. Return the ranking, and why it was not tracked, if so."""
    from itm.run.check import check_request

    params, store = inputs.params, inputs.store
    check_request(params)
    from itm.run import pipeline

    run = find_pipeline(COMMAND, params)
    ranking, problem = run(params, store) if run else (pipeline.run(params, store), "")
    is_complete = run or params.runner.kind == "inline" or missing_packages("pipeline")  # otherwise Prefect did not start
    if is_complete and not problem:
        inputs.remember(COMMAND, ranking)
    return ranking, problem
