"""The command `itm ablate`. Heavy imports stand inside, as in all commands."""

from typing import Annotated

import typer

from itm.cli.options import Code, Device, MaxImages, ParamsFile, Zoo, errors_told, settings


def ablate(
    data: Annotated[str, typer.Argument(help="One data set: folder:PATH, csv:PATH, digits, made:FAMILY ...")],
    model: Annotated[list[str], typer.Argument(help="Names or wildcards of the zoo file or of timm.")],
    zoo: Zoo = None,
    code: Code = None,
    axis: Annotated[
        list[str] | None, typer.Option(help="Vary this option alone; may be repeated. Default: all of them.")
    ] = None,
    max_images: MaxImages = None,
    device: Device = None,
    params: ParamsFile = None,
) -> None:
    """Vary one option of ITM at a time, and write what becomes of the values and of the order.

    Leaves with status 1 if a model failed or a setting is undefined on it; the rest is computed all the same.
    """
    with errors_told():
        chosen, store = settings([data], params, zoo, model, code, data={"max_images": max_images}, extract={"device": device})
        from rich.console import Console

        from itm.benchmark.ablation import ablate as ablation
        from itm.benchmark.ablation.table import print_ablation

        table = ablation.ablate(chosen, store, axis or tuple(ablation.AXES))
        folder = ablation.write_ablation(table, store)
        console = Console()
        print_ablation(table, ablation.agreement(table), console)
        files = "   ".join(f"{path}" for path in sorted(folder.iterdir()))
        console.print(files, soft_wrap=True, highlight=False)
    if (table["status"] == "failed").any():
        raise typer.Exit(1)
