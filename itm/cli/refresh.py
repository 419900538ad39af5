"""The commands `itm refresh` and `itm serve`. Heavy imports stand inside, as in all commands."""

from pathlib import Path
from typing import Annotated, Any

import typer

from itm.cli.options import AllowFailures, ParamsFile, errors_told, settings

DEFAULT = Path("params.yaml")


def refresh(
    within_noise: Annotated[bool, typer.Option(help="Recommend a winner also where its lead may be chance.")] = False,
    allow_failures: AllowFailures = False,
    params: ParamsFile = None,
) -> None:
    """Rank again what changed, and say what is new: computes what is missing, compares, tracks, versions with DVC.

    Leaves with status 1 if a model or a data set failed, or the result could not be tracked or versioned.
    """
    with errors_told():
        settings(None, params)
        from itm.refresh.text import sentences

        record, changes = _pipeline("refresh")(str(params or DEFAULT), within_noise)
        for sentence in sentences(record, changes):
            typer.echo(sentence)
    if (record.work.failed or record.problems or any(one.reason for one in record.standings)) and not allow_failures:
        raise typer.Exit(1)


def serve(
    cron: Annotated[str, typer.Option(help="When to refresh: minute, hour, day of month, month, day of week.")] = "0 2 * * *",
    name: Annotated[str, typer.Option(help="What the schedule is called on the server.")] = "nightly",
    params: ParamsFile = None,
) -> None:
    """Refresh by the clock on this machine until it is stopped; what was missed while it was off is not made up for.

    Without a server (PREFECT_API_URL), one is started on this machine, which nobody else can reach.
    """
    with errors_told():
        chosen, _ = settings(None, params)
        from itm.run.plan import check

        check(chosen)
        _pipeline("serve")((params or DEFAULT).resolve(), cron, name)


def _pipeline(step: str) -> Any:
    """Return what does a step that there is no plain way to do."""
    from importlib.metadata import entry_points

    from itm.core.errors import ParamsError

    for entry in entry_points(group="itm.pipelines", name=step):
        return entry.load()
    raise ParamsError(f"`itm {step}` needs the pipeline, which is not installed; run `make rank` in the repository once.")
