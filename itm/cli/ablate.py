"""The command `itm ablate`."""

from typing import Annotated

import typer

from itm.cli.options import Code, Device, MaxImages, ParamsFile, Zoo, read_params, report_errors


def ablate(
    data: Annotated[str, typer.Argument(help="One data set: folder:PATH, csv:PATH, digits, synthetic:FAMILY ...")],
    model: Annotated[list[str], typer.Argument(help="Names or wildcards of the zoo file or of timm.")],
    zoo: Zoo = None,
    code: Code = None,
    axis: Annotated[list[str] | None, typer.Option(help="Option of ITM to vary. Can be repeated. Default: all.")] = None,
    max_images: MaxImages = None,
    device: Device = None,
    params: ParamsFile = None,
) -> None:
    """Vary one option of ITM at a time, and write how the values and the order of the models change.

    Exits with status 1 if a model failed or a setting is undefined on it. All others are computed.
    """
    with report_errors():
        chosen, store = read_params(
            [data], params, zoo, model, code, data={"max_images": max_images}, extract={"device": device}
        )
        from itm.benchmark.ablation.axes import AXES, check_axes
        from itm.run.check import check_request

        check_axes(axis or ())
        check_request(chosen)
        from rich.console import Console

        from itm.benchmark.ablation import ablate as ablation
        from itm.benchmark.ablation.table import print_ablation

        table = ablation.ablate(chosen, store, axis or tuple(AXES))
        folder = ablation.write_ablation(table, store)
        console = Console()
        print_ablation(table, ablation.agreement(table), console)
        files = "   ".join(f"{path}" for path in sorted(folder.iterdir()))
        console.print(files, soft_wrap=True, highlight=False, markup=False)
    if (table["status"] == "failed").any():
        raise typer.Exit(1)
