"""The command `itm finetune`."""

from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli import options
from itm.cli.pipelines import find_pipeline

PROTOCOL_HELP = "full (all weights), head (linear), lora, norm (scales and biases) or last_block. Can be repeated."

if TYPE_CHECKING:
    from itm.core.confirmations import Confirmed
    from itm.core.params import Params
    from itm.core.types import Outcome
    from itm.store.layout import Store

    Result = tuple[tuple[Outcome, ...], tuple[Confirmed, ...], str]


def finetune(
    data: options.Data = None,
    zoo: options.Zoo = None,
    model: options.Models = None,
    code: options.Code = None,
    protocol: Annotated[list[str] | None, typer.Option(help=PROTOCOL_HELP)] = None,
    seeds: options.Seeds = None,
    steps: options.Steps = None,
    budget: options.Budget = None,
    max_images: options.MaxImages = None,
    device: options.Device = None,
    resume: options.Resume = None,
    runner: options.RunnerKind = None,
    workers: options.Workers = None,
    allow_failures: options.AllowFailures = False,
    params: options.ParamsFile = None,
) -> None:
    """Fine-tune the zoo on data sets and measure its accuracy on their test images, which a ranking predicts.

    Exits with status 1 if a model or a data set failed. All others are trained.
    """
    with options.report_errors():
        chosen, store = options.read_params(
            data,
            params,
            zoo,
            model,
            code,
            data={"max_images": max_images},
            extract={"device": device, "resume": resume},
            finetune={"protocols": tuple(protocol) if protocol else None, "seeds": seeds, "steps": steps},
            runner={"kind": runner, "workers": workers},
            limits={"seconds": budget},
        )
        from itm.run.check import check_request

        check_request(chosen)
        finetuned, _, problem = run_pairs(chosen, store)
        from rich.console import Console

        from itm.finetuning.table import means, runs_table
        from itm.finetuning.view import print_means

        console = Console()
        print_means(means(runs_table(finetuned)), [pair for pair in finetuned if pair.failures], console)
        console.print(f"runs: {store.finetuned}", soft_wrap=True, highlight=False, markup=False)
        if problem:
            typer.secho(f"not tracked: {problem}", fg="red", err=True)
    if any(pair.failures for pair in finetuned) and not allow_failures:
        raise typer.Exit(1)


def run_pairs(params: "Params", store: "Store", first: int | None = None) -> "Result":
    """Fine-tune in the installed pipeline, or without one.

    Returns every pair, what was confirmed of the ranking if `first` is given, and why it was not tracked, if so.
    """
    from itm.finetuning import pairs

    run = find_pipeline("finetune", params)
    return run(params, store, first) if run else (*pairs.run(params, store, first), "")


def confirm(params: "Params", store: "Store", first: int, budget: float | None = None) -> bool:
    """Fine-tune the first models of the ranking in `store`, and print the new order. Return whether a model failed."""
    from rich.console import Console

    from itm.core.params import with_overrides
    from itm.report.table import print_confirmed

    finetuned, confirmed, problem = run_pairs(with_overrides(params, limits={"seconds": budget}), store, first)
    console = Console()
    print_confirmed(confirmed, console)
    console.print(f"confirmed: {store.confirmed}", soft_wrap=True, highlight=False, markup=False)
    if problem:
        typer.secho(f"not tracked: {problem}", fg="red", err=True)
    return any(pair.failures for pair in finetuned)
