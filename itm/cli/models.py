"""The command `itm models`."""

from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli.options import Code, ParamsFile, Zoo, report_errors, zoo_file

if TYPE_CHECKING:
    from itm.zoo.listing import Description

HEADER = ("model", "M parameters", "GMACs", "pixels", "width", "top-1", "licence", "weights", "pretraining", "family")
NUMBERS = range(1, 6)  # columns that are aligned on the right
UNKNOWN = "unknown"


def models(
    pattern: Annotated[
        str, typer.Argument(help="Name or wildcard, for example 'resnet*'. Default: the models of the zoo.", show_default=False)
    ] = "",
    zoo: Zoo = None,
    max_params: Annotated[str | None, typer.Option(help="Most parameters, such as 30M.")] = None,
    max_gmacs: Annotated[float | None, typer.Option(min=0, help="Most GMACs of one image.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the weights: permissive, unknown, or one such as apache-2.0.")
    ] = None,
    family: Annotated[str | None, typer.Option(help="Family, such as vit, resnet or swin.")] = None,
    sort: Annotated[
        str,
        typer.Option(
            help="Column: model, parameters, gmacs, pixels, width, top1 (best first), licence, weights, pretraining or family."
        ),
    ] = "model",
    code: Code = None,
    params: ParamsFile = None,
) -> None:
    """List models of the zoo file and of timm: size, cost, ImageNet accuracy, licence, and whether the weights are here."""
    with report_errors():
        from itm.core.errors import ModelError
        from itm.core.params import find_params
        from itm.core.text import pluralize
        from itm.core.types import Failure
        from itm.zoo.listing import list_models
        from itm.zoo.packaged import embedded_zoo_file
        from itm.zoo.selection import check_sort, ordered, parse_filters

        check_sort(sort)
        filters = parse_filters(max_params, max_gmacs, licence, family)
        chosen = find_params(params).zoo
        file = zoo_file(zoo) or chosen.file or embedded_zoo_file()
        found = list(list_models(pattern, file, (*chosen.code, *(code or ()))))
        listed = [model for model in found if not isinstance(model, Failure)]
        passed = ordered(filter(filters.passes, listed), sort)
        for line in _lines([HEADER, *map(_row, passed)] if passed else []):
            typer.echo(line)
        for failure in (model for model in found if isinstance(model, Failure)):
            typer.echo(f"{failure.model}: cannot be used: {failure.reason}")
        if listed and not passed:
            raise ModelError(f"{pluralize(len(listed), 'model')} found, but none passes the filters; relax one of them.")


def _row(model: "Description") -> tuple[str, ...]:
    facts = model.facts
    return (
        model.name,
        f"{facts.parameters / 1e6:.3g}" if facts.parameters < 1e9 else f"{facts.parameters / 1e6:,.0f}",
        UNKNOWN if facts.gmacs is None else f"{facts.gmacs:.3g}",
        str(facts.input_size).replace(" ", ""),
        str(facts.width),
        UNKNOWN if model.top1 is None else f"{model.top1:.1f}",
        model.licence or UNKNOWN,
        model.weights,
        facts.pretraining or UNKNOWN,
        facts.family,
    )


def _lines(rows: list[tuple[str, ...]]) -> list[str]:
    """Return the rows in columns. Lines are not cut, so that they can be searched."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number in NUMBERS else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
