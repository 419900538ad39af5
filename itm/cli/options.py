"""Options of the commands, conversion of options to parameters, and error messages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itm.core.errors import ParamsError, is_expected
from itm.core.logs import log_to_terminal
from itm.core.secrets import error_message

if TYPE_CHECKING:
    from itm.core.params import Params
    from itm.store.layout import Store

Data = Annotated[
    list[str] | None,
    typer.Argument(
        help="A folder, a zip or tar file, csv:PATH, parquet:PATH, list:PATH, wds:SHARDS, hf:NAME, torchvision:NAME, "
        "fiftyone:FOLDER, embeddings:FOLDER, digits or synthetic:FAMILY. NAME=SOURCE sets a name. Default: from params.yaml."
    ),
]
Zoo = Annotated[
    str | None,
    typer.Option(
        help="Zoo of the package (tiny, edge, base, foundation, all-permissive), zoo file, or names such as 'timm:resnet*'. "
        "Default: from params.yaml."
    ),
]
Code = Annotated[list[Path] | None, typer.Option(help="File or folder with allowed zoo factories. Can be repeated.")]
Models = Annotated[list[str] | None, typer.Option("--model", "-m", help="Name or wildcard. Can be repeated.")]
Variants = Annotated[
    list[str] | None,
    typer.Option(
        help="Variants of each model to rank as well: token, mean, token+mean, block8, 288 or 96x48. Separated by commas.",
    ),
]
ParamsFile = Annotated[Path | None, typer.Option("--params", help="Parameter file. Default: params.yaml, if it exists.")]
MaxImages = Annotated[
    int | None, typer.Option(help="Maximum number of images per data set, sampled evenly over classes (0: all).")
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 ...")]
Precision = Annotated[str | None, typer.Option(help="fp32, bf16, or auto: bf16 on a GPU that has it, fp32 elsewhere.")]
BatchSize = Annotated[int | None, typer.Option(help="Images per batch. It is halved when memory runs out.")]
Resume = Annotated[str | None, typer.Option(help="always, only-missing or only-cache.")]
RankingName = Annotated[
    str | None, typer.Argument(help="Name printed by `itm rank`, or its beginning. Default: the ranking of params.yaml.")
]
AllowFailures = Annotated[bool, typer.Option(help="Exit with status 0 even if a model or data set failed.")]
RunnerKind = Annotated[
    str | None, typer.Option("--runner", help="inline (no Prefect, no tracking), threads, processes or dask.")
]
Workers = Annotated[int | None, typer.Option(help="Number of pairs computed in parallel.")]
Seeds = Annotated[
    int | None, typer.Option(help="Fine-tuning runs per protocol, averaged. Default: finetune.seeds of params.yaml, or 2.")
]
Steps = Annotated[
    int | None,
    typer.Option(
        help="Steps of a final fine-tuning run; a search run has half. Default: finetune.steps of params.yaml, or 200."
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(
        min=1, help="Seconds for fine-tuning; the next run resumes. Default: limits.seconds of params.yaml, or no limit."
    ),
]
Log = Annotated[bool, typer.Option(help="Look at everything again and log to MLflow, even if nothing seems changed.")]
MaxParams = Annotated[str | None, typer.Option(help="Largest number of parameters, such as 30M.")]
MaxGmacs = Annotated[float | None, typer.Option(help="Most GMACs per image.")]
MaxLatency = Annotated[
    str | None, typer.Option(help="Longest time per image on this device, such as 5ms. It is measured once and stored.")
]
MaxMemory = Annotated[
    str | None, typer.Option(help="Most memory of a step of full fine-tuning on this device, such as 8GB. Measured once.")
]
Licences = Annotated[
    list[str] | None,
    typer.Option(
        "--licence", help="Allowed licence of the weights: permissive, unknown, or one such as apache-2.0. Can be repeated."
    ),
]
Race = Annotated[
    bool, typer.Option("--race", help="Rank only models that are not clearly behind the best one on some of the images.")
]
Scores = Annotated[list[str] | None, typer.Option("--score", help="Score to compute. Can be repeated.")]

NAMES = {
    "kind": "runner",
    "names": "score",
    "protocols": "protocol",
    "rank_by": "by",
    "licences": "licence",
}  # options that differ from their keys


@contextmanager
def report_errors() -> Iterator[None]:
    """Print one line per error and exit with status 2, instead of a traceback."""
    try:
        yield
    except Exception as error:
        if not is_expected(error):
            raise
        for line in error_message(error).splitlines():
            typer.secho(f"error: {line}", fg="red", err=True)
        raise typer.Exit(2) from None


def only_with_confirm(confirm: int | None, **values: float | None) -> None:
    """Raise an error if an option of fine-tuning is given without `--confirm`."""
    for name, value in values.items():
        if confirm is None and value is not None:
            raise ParamsError(f"--{name} is an option of fine-tuning; add --confirm N, or leave it out.")


def read_params(
    sources: list[str] | None,
    params: Path | None,
    zoo: str | Path | None = None,
    models: list[str] | None = None,
    code: list[Path] | None = None,
    variants: list[str] | None = None,
    **sections: dict[str, Any],
) -> "tuple[Params, Store]":
    """Return the parameters, updated by the options, and the store.

    With other data sets, models, scores or a changed value that decides results, the ranking is a trial: it has its own name
    and folder, and does not change the recommended model. Allowed code does not affect the name.
    """
    from itm.core.params import find_params, with_overrides
    from itm.run.request import chosen_models
    from itm.run.trials import is_trial, trial_name
    from itm.store.layout import Store

    before = find_params(params)
    sections["data"] = sections.get("data", {}) | {"sets": tuple(sources) if sources else None}
    sections["zoo"] = chosen_models(sources or (), zoo, models, variants, ("--zoo", "--model"))
    sections["zoo"] |= {"code": (*before.zoo.code, *code) if code else None}
    chosen = with_overrides(before, _option, **sections)
    if is_trial(params, before, chosen):
        chosen = with_overrides(chosen, track={"recommend": False})
    log_to_terminal()
    return chosen, Store(chosen.store, trial_name(before, chosen), chosen.shared)


def filter_values(
    max_params: str | None,
    max_gmacs: float | None,
    max_latency: str | None,
    max_memory: str | None,
    licences: list[str] | None,
    race: bool,
) -> dict[str, Any]:
    """Return changes of the section `filters`. None keeps a value."""
    limits = {"max_params": max_params, "max_gmacs": max_gmacs, "max_latency": max_latency, "max_memory": max_memory}
    return limits | {"licences": tuple(licences) if licences else None, "race": race or None}


def zoo_file(zoo: str | Path | None) -> Path | None:
    """Return the zoo file of a command that names its models in another way."""
    from itm.zoo.choice import parse_zoo

    file = parse_zoo(zoo).file if zoo else None
    if zoo and file is None:
        raise ParamsError(f"--zoo {zoo} names models; give a zoo file or a zoo of the package.")
    return file


def _option(key: str) -> str:
    """Return the option that sets a key of the parameters, or the key of a whole section."""
    _, has_name, name = key.partition(".")
    name = name.partition(".")[0]
    return f"--{NAMES.get(name, name.replace('_', '-'))}" if has_name else f"options: {key}"
