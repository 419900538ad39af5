"""The commands `itm refresh` and `itm serve`."""

from pathlib import Path
from typing import Annotated

import typer

from itm.cli.options import AllowFailures, ParamsFile, read_params, report_errors
from itm.cli.pipelines import required_pipeline

DEFAULT = Path("params.yaml")


def refresh(
    within_noise: Annotated[bool, typer.Option(help="Recommend a new winner even if its lead is within noise.")] = False,
    allow_failures: AllowFailures = False,
    params: ParamsFile = None,
) -> None:
    """Update the ranking: compute what is missing, report changes, track, and version with DVC.

    Exits with status 1 if a model or data set failed, or if tracking or versioning failed.
    """
    with report_errors():
        chosen, _ = read_params(None, params)
        from itm.refresh.text import sentences

        record, changes = required_pipeline("refresh", chosen)(str(params or DEFAULT), within_noise)
        for sentence in sentences(record, changes):
            typer.echo(sentence)
    if (record.work.failed or record.problems or any(standing.reason for standing in record.standings)) and not allow_failures:
        raise typer.Exit(1)


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
