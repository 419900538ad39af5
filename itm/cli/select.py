"""The command `itm select`."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli import options
from itm.cli.interrupt import before_end
from itm.cli.pipelines import find_pipeline

if TYPE_CHECKING:
    from itm.core.params import Params
    from itm.core.selections import SearchBudget, Selection
    from itm.selection.search import Watch
    from itm.store.layout import Store

    Result = tuple[tuple[Selection, ...], str]

STEPS = 10  # of a probability: a line is printed when it has changed by about 10 %
QUIET = 60  # seconds without a line

Protocols = Annotated[str, typer.Option(help="How models are fine-tuned: full, lora, norm or last_block.")]


def select(
    data: options.Data = None,
    zoo: options.Zoo = None,
    model: options.Models = None,
    variants: options.Variants = None,
    code: options.Code = None,
    budget: Annotated[
        str | None, typer.Option(help="Time such as 30m or 2h, or share of the time of fine-tuning everything such as 15%.")
    ] = None,
    regret: Annotated[float | None, typer.Option(help="Stop if the pick is so close to the best model, in points ...")] = None,
    confidence: Annotated[float | None, typer.Option(help="... with this probability. Default: 0.95.")] = None,
    protocol: Protocols = "full",
    max_params: options.MaxParams = None,
    max_gmacs: options.MaxGmacs = None,
    max_latency: options.MaxLatency = None,
    max_memory: options.MaxMemory = None,
    licence: options.Licences = None,
    race: options.Race = False,
    steps: options.Steps = None,
    max_images: options.MaxImages = None,
    device: options.Device = None,
    precision: options.Precision = None,
    batch_size: options.BatchSize = None,
    runner: options.RunnerKind = None,
    workers: options.Workers = None,
    params: options.ParamsFile = None,
) -> None:
    """Select the best model for a budget: rank the zoo, then fine-tune the models that may still be the best.

    Prints the answer whenever it changes, and at the end the expected accuracy of every model, the recipe, and how to export
    the trained checkpoint. Ctrl-C prints the answer so far; the same command resumes. Exits with status 1 without an answer.
    """
    began = time.monotonic()
    with options.report_errors():
        from itm.selection.budget import read_budget

        limit = read_budget(budget, regret, confidence)
        chosen, store = options.read_params(
            data,
            params,
            zoo,
            model,
            code,
            variants,
            data={"max_images": max_images},
            filters=options.filter_values(max_params, max_gmacs, max_latency, max_memory, licence, race),
            extract={"device": device, "precision": precision, "batch_size": batch_size},
            finetune={"steps": steps, "protocols": (protocol,)},
            runner={"kind": runner, "workers": workers},
        )
        from itm.run.check import check_request

        check_request(chosen)
        shown = _Shown(store)
        with before_end(shown.print_last):
            selections, problem = _select(chosen, store, limit, shown, began)
        for selection in selections:
            shown.print(selection)
        typer.echo(f"selection: {store.selection}   page: {store.reports / 'selection.html'}")
        if problem:
            typer.secho(f"not tracked: {problem}", fg="red", err=True)
    if any(selection.pick is None for selection in selections):
        raise typer.Exit(1)


def _select(params: "Params", store: "Store", budget: "SearchBudget", watch: "Watch", began: float) -> "Result":
    """Select in the installed pipeline, or without one. Return the answers, and why they were not tracked, if so."""
    from itm.selection import select as steps

    run = find_pipeline("select", params)
    if run:
        found: Result = run(params, store, budget, watch, began)
        return found
    return steps.run(params, store, budget, watch=watch, began=began), ""


class _Shown:
    """What the terminal shows of a search: a line whenever the answer changes, or after a while without one."""

    def __init__(self, store: "Store") -> None:
        self.store = store
        self.last: Selection | None = None
        self.shown: tuple[str, int, int] | None = None

    def __call__(self, selection: "Selection") -> None:
        from itm.selection.text import state_line

        self.last = selection
        if selection.states:
            state = selection.states[-1]
            answer = state.pick, round(state.chance_best * STEPS), int(state.at / QUIET)
            if answer != self.shown:
                self.shown = answer
                typer.echo(state_line(state), err=True)

    def print(self, selection: "Selection") -> None:
        from rich.console import Console

        from itm.selection.table import print_selection

        print_selection(selection, Console(), self.store.ranking_name)

    def print_last(self) -> None:
        if self.last:
            self.print(self.last)
