"""What the commands share: their options, how options become parameters, and how errors are told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itm.core.errors import ItmError
from itm.core.logs import log_to_terminal
from itm.core.secrets import told

if TYPE_CHECKING:
    from itm.core.params import Params
    from itm.store.layout import Store

Data = Annotated[
    list[str] | None,
    typer.Argument(help="folder:PATH, csv:PATH, parquet:PATH, digits or made:FAMILY; NAME=SOURCE names it. Default: params."),
]
Zoo = Annotated[Path | None, typer.Option(help="Zoo file; without it, the one in params.")]
Code = Annotated[list[Path] | None, typer.Option(help="File or folder whose zoo factories may run; may be repeated.")]
Models = Annotated[list[str] | None, typer.Option("--model", "-m", help="Name or wildcard; may be repeated.")]
ParamsFile = Annotated[Path | None, typer.Option("--params", help="Parameter file; default: params.yaml where there is one.")]
MaxImages = Annotated[int | None, typer.Option(help="Sample so many images a data set, balanced over classes; 0 for all.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 ...")]
Precision = Annotated[str | None, typer.Option(help="fp32 or bf16.")]
BatchSize = Annotated[int | None, typer.Option(help="Images a batch; halved by itself when memory runs out.")]
Resume = Annotated[str | None, typer.Option(help="always, never, only-missing or only-cache.")]
RankingName = Annotated[
    str | None, typer.Argument(help="As `itm rank` printed it, or its beginning; without one, the ranking of params.")
]
AllowFailures = Annotated[bool, typer.Option(help="Leave with status 0 although something failed.")]
Scores = Annotated[list[str] | None, typer.Option("--score", help="A score to compute; may be repeated.")]


@contextmanager
def errors_told() -> Iterator[None]:
    """Say what is wrong in one line a problem and leave with status 2, instead of a traceback."""
    try:
        yield
    except ItmError as error:
        for line in told(error).splitlines():
            typer.secho(f"error: {line}", fg="red", err=True)
        raise typer.Exit(2) from None


def settings(
    sources: list[str] | None,
    params: Path | None,
    zoo: Path | None = None,
    models: list[str] | None = None,
    code: list[Path] | None = None,
    **sections: dict[str, Any],
) -> "tuple[Params, Store]":
    """Return the parameters with the options put in, and the store.

    Whatever is not as the parameter file says gets a ranking of its own, and only a ranking of the whole zoo by the usual
    scores may say which model is recommended. Code that is allowed is no question of its own.
    """
    from itm.core.keys import content_key
    from itm.core.params import find_params, with_overrides
    from itm.data.sources.parse import name_of
    from itm.store.layout import Store, file_name

    chosen = find_params(params)
    sections["data"] = sections.get("data", {}) | {"sets": tuple(sources) if sources else None}
    if zoo or models:
        sections["zoo"] = {"file": zoo, "models": tuple(models) if models else ("*",)}
    sections["zoo"] = sections.get("zoo", {}) | {"code": (*chosen.zoo.code, *code) if code else None}
    scores = {name: value for name, value in sections.get("score", {}).items() if value is not None}
    sections["track"] = {"recommend": False if models or scores else None}
    asked = [sources, str(zoo) if zoo else None, models, scores]
    names = "+".join(name_of(source) for source in sources or ()) or "params"
    chosen = with_overrides(chosen, **sections)
    log_to_terminal()
    return chosen, Store(chosen.store, f"{file_name(names)}-{content_key(asked)[:6]}" if any(asked) else None, chosen.shared)
