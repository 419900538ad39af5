"""The command `itm finetune`. Heavy imports stand inside, as in all commands."""

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli.options import (
    AllowFailures,
    Code,
    Data,
    Device,
    MaxImages,
    Models,
    ParamsFile,
    Resume,
    Zoo,
    errors_told,
    settings,
)
from itm.cli.pipelines import installed

if TYPE_CHECKING:
    from itm.core.params import Params
    from itm.finetune.records import Confirmed, Finetuned
    from itm.store.layout import Store

    Result = tuple[tuple[Finetuned, ...], tuple[Confirmed, ...], str]

log = logging.getLogger("itm")


def finetune(
    data: Data = None,
    zoo: Zoo = None,
    model: Models = None,
    code: Code = None,
    protocol: Annotated[list[str] | None, typer.Option(help="full (all weights) or head (linear); may be repeated.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Runs a protocol, whose accuracies are averaged.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps of a final run; a search run has a quarter.")] = None,
    max_images: MaxImages = None,
    device: Device = None,
    resume: Resume = None,
    runner: Annotated[str | None, typer.Option(help="inline (no Prefect, no tracking), threads, processes or dask.")] = None,
    workers: Annotated[int | None, typer.Option(help="Pairs trained side by side.")] = None,
    allow_failures: AllowFailures = False,
    params: ParamsFile = None,
) -> None:
    """Fine-tune the zoo on data sets and judge it on their test images: what a ranking predicts.

    Leaves with status 1 if a model or a data set failed; the rest is trained all the same.
    """
    with errors_told():
        chosen, store = settings(
            data,
            params,
            zoo,
            model,
            code,
            data={"max_images": max_images},
            extract={"device": device, "resume": resume},
            finetune={"protocols": tuple(protocol) if protocol else None, "seeds": seeds, "steps": steps},
            runner={"kind": runner, "workers": workers},
        )
        finetuned, _, problem = run_pairs(chosen, store)
        _print(finetuned, store)
        if problem:
            typer.secho(f"not tracked: {problem}", fg="red", err=True)
    if any(pair.failure for pair in finetuned) and not allow_failures:
        raise typer.Exit(1)


def run_pairs(params: "Params", store: "Store", first: int | None = None) -> "Result":
    """Hand over to an installed pipeline, or fine-tune plainly where there is none or `inline` is asked for.

    Returns every pair, what was confirmed of the ranking whose `first` models they are, and what kept them from being tracked.
    """
    from itm.finetune import pairs

    if run := installed("finetune", params):
        result: Result = run(params, store, first)
        return result
    return *pairs.run(params, store, first), ""


def confirm(params: "Params", store: "Store", first: int) -> bool:
    """Fine-tune the first models of the ranking in `store`, print what becomes of its order, and say whether one failed."""
    from rich.console import Console

    from itm.finetune.view import print_confirmed

    finetuned, confirmed, problem = run_pairs(params, store, first)
    console = Console()
    print_confirmed(confirmed, console)
    console.print(f"confirmed: {store.confirmed}", soft_wrap=True, highlight=False)
    if problem:
        typer.secho(f"not tracked: {problem}", fg="red", err=True)
    return any(pair.failure for pair in finetuned)


def _print(finetuned: "tuple[Finetuned, ...]", store: "Store") -> None:
    from rich.console import Console

    from itm.finetune.table import means, runs_table
    from itm.finetune.view import print_means

    console = Console()
    print_means(means(runs_table(finetuned)), [pair for pair in finetuned if pair.failure], console)
    console.print(f"runs: {store.finetuned}", soft_wrap=True, highlight=False)
