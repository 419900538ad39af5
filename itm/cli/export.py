"""The command `itm export`."""

from pathlib import Path
from typing import Annotated

import typer

from itm.cli.options import Code, ParamsFile, read_params, report_errors


def export(
    data: Annotated[str, typer.Argument(help="Data set that was ranked: its name or its source, such as folder:PATH.")],
    to: Annotated[Path, typer.Option("--to", help="Folder to write. It must not exist, or be an earlier export.")],
    model: Annotated[str | None, typer.Option("--model", "-m", help="Ranked model. Default: the recommended one.")] = None,
    ranking: Annotated[
        str | None, typer.Option(help="Name printed by `itm rank`, or its beginning, if several rankings have the data set.")
    ] = None,
    code: Code = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Also write model.onnx.")] = False,
    params: ParamsFile = None,
) -> None:
    """Write the recommended model as a folder that timm loads, with its classifier if it was fine-tuned.

    The folder has the weights, timm's configuration, the classes, a model card and load.py. With --onnx, exits with status 1 if
    the model cannot be converted; the rest is written.
    """
    with report_errors():
        chosen, store = read_params(None, params)
        from itm.export.folder import check_folder
        from itm.export.onnx_file import check_onnx

        check_folder(to)
        if onnx:
            check_onnx()
        from itm.export.choice import choose
        from itm.export.folder import export as write

        choice = choose(data, store, ranking, model, (*chosen.zoo.code, *(code or ())))
        problem = write(choice, to, onnx=onnx)
        what = (
            f"classifier of {len(choice.labels)} classes"
            if choice.labels
            else "embeddings, since there are no fine-tuned weights"
        )
        typer.echo(f"{choice.row.model} for {choice.data.data}, {what}: {to}")
        typer.echo(f"try it: python {to / 'load.py'} IMAGE...")
    if problem:
        typer.secho(f"{choice.row.model}: model.onnx is not written: {problem}", fg="red", err=True)
        raise typer.Exit(1)
