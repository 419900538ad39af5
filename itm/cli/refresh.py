"""The commands `itm refresh` and `itm serve`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli.options import AllowFailures, Log, ParamsFile, read_params, report_errors
from itm.cli.pipelines import required_pipeline

if TYPE_CHECKING:
    from itm.core.params import Params
    from itm.store.layout import Store

COMMAND = "refresh"
DEFAULT = Path("params.yaml")


def refresh(
    within_noise: Annotated[bool, typer.Option(help="Recommend a new winner even if its lead is within noise.")] = False,
    select: Annotated[
        str | None,
        typer.Option(help="Also select a model, with a budget such as 30m. Default: refresh.select of params.yaml."),
    ] = None,
    allow_failures: AllowFailures = False,
    log: Log = False,
    params: ParamsFile = None,
) -> None:
    """Update the ranking: compute what is missing, report changes, track, and version with DVC.

    If nothing looks changed since the last refresh, it prints one line. Exits with status 1 if a model or data set
    failed, or if tracking or versioning failed.
    """
    with report_errors():
        chosen, store = _read(params, within_noise, select)
        if chosen.refresh.select:
            from itm.selection.budget import read_budget

            read_budget(chosen.refresh.select)
        from itm.refresh.history import read_history
        from itm.refresh.text import sentences, started
        from itm.run.current import Inputs
        from itm.store.ranking_file import read_ranking

        inputs, history = Inputs(chosen, store), read_history(store, 1)
        is_selected = not chosen.refresh.select or store.selection.exists()
        if history and not log and is_selected and inputs.unchanged_since(COMMAND):
            typer.echo(f"Nothing changed since refresh {history[-1].number} ({started(history[-1])}).")
            return
        record, changes = required_pipeline(COMMAND, chosen)(str(params or DEFAULT), within_noise, select)
        for sentence in sentences(record, changes):
            typer.echo(sentence)
        if not record.problems and _read(params, within_noise, select)[0] == chosen:  # the flow has read the file again
            inputs.remember(COMMAND, read_ranking(store))
    if (record.work.failed or record.problems or any(standing.reason for standing in record.standings)) and not allow_failures:
        raise typer.Exit(1)


def _read(params: Path | None, within_noise: bool, select: str | None) -> "tuple[Params, Store]":
    return read_params(None, params, refresh={"within_noise": within_noise or None, "select": select})


def serve(
    cron: Annotated[str, typer.Option(help="Schedule: minute, hour, day of month, month, day of week.")] = "0 2 * * *",
    name: Annotated[str, typer.Option(help="Name of the schedule on the server.")] = "nightly",
    params: ParamsFile = None,
) -> None:
    """Run `itm refresh` on a schedule. Runs missed while it was down are skipped.

    Without PREFECT_API_URL, a Prefect server is started that is only reachable from this machine.
    """
    with report_errors():
        chosen, _ = read_params(None, params)
        from itm.run.check import check

        check(chosen)
        run = required_pipeline("serve", chosen)
        run((params or DEFAULT).resolve(), cron, name)
