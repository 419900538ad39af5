"""What the command line says about trials."""

from typing import TYPE_CHECKING

import typer

from itm.run.trials import DEFAULT

if TYPE_CHECKING:
    from itm.core.params import Params
    from itm.store.layout import Store


def say_what_is_kept(chosen: "Params", store: "Store") -> None:
    """Say that a trial does not change the recommended models, where there are or will be some."""
    if not chosen.track.recommend and (DEFAULT.exists() or (store.root / "recommended.json").exists()):
        text = "This trial leaves the recommended models as they are; only `itm refresh`, `dvc repro` and `itm rank` without "
        typer.echo(f"{text}options change them.", err=True)
