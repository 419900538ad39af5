"""The commands `itm scores` and `itm doctor`."""

from typing import Annotated

import typer

from itm.cli.options import Code, ParamsFile, Zoo, report_errors, zoo_file


def scores(
    name: Annotated[str, typer.Argument(help="Name or wildcard, for example 'lda*'.")] = "*",
) -> None:
    """List the scores with meaning, range, requirements, cost and source."""
    with report_errors():
        from rich.console import Console
        from rich.padding import Padding

        from itm.kinds import get_kind
        from itm.scores import expand, get

        chosen = sorted(map(get, expand([name])), key=lambda score: score.info.name)
        console = Console(highlight=False)
        console.print("Higher is better for every score.\n")
        for score in chosen:
            info = score.info
            ranges = " or ".join(dict.fromkeys(score.value_range(get_kind(kind)) for kind in info.kinds))
            console.print(f"[bold]{info.name}[/bold]  {ranges}{info.paper and '; '}{info.paper}")
            console.print(Padding(f"{info.summary} {info.meaning}", (0, 0, 0, 4)))
            console.print(Padding(f"[dim]Needs {score.requirements()}. Costs {info.cost}.[/dim]\n", (0, 0, 0, 4)))


def doctor(zoo: Zoo = None, code: Code = None, params: ParamsFile = None) -> None:
    """Check installation, devices, store, git and DVC, Prefect, proxy, memory, fonts, threads, weights and tracking.

    "note" marks what is not there yet or may surprise. Exits with status 1 if a check fails.
    """
    with report_errors():
        from itm.core.params import find_params, with_overrides
        from itm.run.doctor import examine

        chosen = find_params(params)
        chosen = with_overrides(chosen, zoo={"file": zoo_file(zoo), "models": ("*",)}) if zoo else chosen
        findings = list(examine(with_overrides(chosen, zoo={"code": (*chosen.zoo.code, *(code or ()))})))
    for finding in findings:
        colour = "red" if not finding.good else "yellow" if finding.note else None
        typer.secho(f"{finding.mark} {finding.what}: {finding.text}", fg=colour)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)
