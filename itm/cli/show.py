"""The commands that say what there is: models, scores, and whether the installation is whole."""

from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli.options import Code, ParamsFile, Zoo, errors_told

if TYPE_CHECKING:
    from itm.core.types import Facts, Failure


def models(
    pattern: Annotated[str, typer.Argument(help="Name or wildcard, for instance 'resnet*'.")],
    zoo: Zoo = None,
    code: Code = None,
    params: ParamsFile = None,
) -> None:
    """List models of the zoo file and of timm, with what is known of them."""
    with errors_told():
        from itm.core.params import find_params
        from itm.zoo.facts import list_models

        asked = find_params(params).zoo
        for name, known in list_models(pattern, zoo or asked.file, (*asked.code, *(code or ()))):
            typer.echo(f"{name}: {_in_words(known)}")


def _in_words(known: "Facts | Failure") -> str:
    from itm.core.types import Failure

    if isinstance(known, Failure):
        return f"cannot be used: {known.reason}"
    gmacs = "unknown" if known.gmacs is None else f"{known.gmacs:.3g}"
    size = f"{known.parameters / 1e6:.3g} M parameters, {gmacs} GMACs, width {known.width}, {known.input_size} pixels"
    return ", ".join(part for part in (size, known.family, known.pretraining) if part)


def scores(
    name: Annotated[str, typer.Argument(help="Name or wildcard, for instance 'lda*'.")] = "*",
) -> None:
    """List the scores: what their numbers mean, their range, what they need and cost, and where they come from."""
    with errors_told():
        from rich.console import Console
        from rich.padding import Padding

        from itm.scores import computed, get, listed

        found = sorted(map(get, computed([name])), key=lambda one: one.name)
        console = Console(highlight=False)
        console.print("Higher is better for every score.\n")
        for definition in found:
            console.print(f"[bold]{definition.name}[/bold]  {definition.value_range}; {definition.paper}")
            console.print(Padding(f"{definition.summary} {definition.meaning}", (0, 0, 0, 4)))
            console.print(Padding(f"[dim]Needs {listed(definition)}. Costs {definition.cost}.[/dim]\n", (0, 0, 0, 4)))


def doctor(zoo: Zoo = None, code: Code = None, params: ParamsFile = None) -> None:
    """Check the installation, devices, weights and tracking; status 1 if something is amiss."""
    with errors_told():
        from itm.core.params import find_params, with_overrides
        from itm.run.doctor import examine

        chosen = find_params(params)
        chosen = with_overrides(chosen, zoo={"file": zoo, "models": ("*",)}) if zoo else chosen
        findings = list(examine(with_overrides(chosen, zoo={"code": (*chosen.zoo.code, *(code or ()))})))
    for finding in findings:
        typer.secho(f"{'ok  ' if finding.good else 'FAIL'} {finding.what}: {finding.text}", fg=None if finding.good else "red")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)
