"""The zoo file: a list of one's own checkpoints in YAML, read strictly, each entry on its own.

A broken entry never takes the others along: it becomes a reason under its own name. Paths are relative to the file's folder.
A factory runs code, so it counts only where whoever runs the zoo has allowed its path; the zoo file cannot allow it itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from itm.core.errors import ModelError, ParamsError
from itm.core.types import ModelRef, Preprocessing
from itm.core.yaml_records import parse, read_yaml

Interpolation = Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"]
Positive = Annotated[float, Field(gt=0)]


class Entry(BaseModel):
    """One model of a zoo file, as it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # what it is
    name: str = ""
    architecture: str | None = None
    factory: str | None = None
    arguments: dict[str, JsonValue] = {}
    # where its weights come from
    checkpoint: Path | None = None
    sha256: str | None = Field(None, pattern="^[0-9a-fA-F]{64}$")
    pretrained: bool = False
    # how it wants its images
    input_size: int | None = Field(None, ge=1)
    mean: tuple[float, float, float] | None = None
    std: tuple[Positive, Positive, Positive] | None = None
    crop: float | None = Field(None, gt=0, le=1)
    interpolation: Interpolation | None = None
    # what a reader of a ranking wants to know
    family: str = ""
    pretraining: str = ""


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[Any, ...]


@dataclass(frozen=True)
class Zoo:
    """A zoo file after reading: the models that can be used and why the others cannot, by name, in the file's order."""

    models: dict[str, ModelRef] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    nameless: dict[str, str] = field(default_factory=dict)  # broken too, known only by their place in the file


def read_zoo_file(path: Path, code: Iterable[Path] = ()) -> Zoo:
    """Read a zoo file, whose factories must lie in the folders `code` or be files of it. No code runs here.

    Raises
    ------
    ParamsError
        If the file cannot be read, is not YAML, or is no mapping with the one key `models`.
    """
    entries, allowed = read_yaml(path, _File).models, [trusted.expanduser().resolve() for trusted in code]
    zoo, places = Zoo(), dict[str, str]()
    for number, values in enumerate(entries):
        place = f"models[{number}]"
        where = f"{path}: {place}"
        try:
            entry = parse(values, Entry, where)
            model = _model(entry, path.parent.resolve(), allowed, where)
        except ParamsError as error:
            reason = " ".join(str(error).splitlines())
            name = _likely_name(values)
            if not name:
                zoo.nameless[place] = reason
                continue
            zoo.broken.setdefault(name, reason)
        else:
            name = model.name
            zoo.models.setdefault(name, model)
        if name in places:
            zoo.broken[name] = f"{path}: {places[name]} and {place} are both named {name!r}; give each its own `name`."
        places.setdefault(name, place)
    for name in zoo.broken:
        zoo.models.pop(name, None)
    return zoo


def _model(entry: Entry, folder: Path, allowed: list[Path], where: str) -> ModelRef:
    if (entry.architecture is None) == (entry.factory is None):
        told = "both an `architecture` and a `factory`" if entry.factory else "neither an `architecture` nor a `factory`"
        raise ParamsError(f"{where}: has {told}; give one: a timm architecture, or 'file.py:function' of your own.")
    if entry.factory is not None and entry.pretrained:
        raise ParamsError(f"{where}: a `factory` has no weights of timm's; instead of `pretrained: true` give a `checkpoint`.")
    if entry.checkpoint is None and not entry.pretrained:
        raise ParamsError(
            f"{where}: has no `checkpoint`, and without a weight file a model has no identity. Give the file (also for an "
            "untrained model: save its random weights), or `pretrained: true` for timm's own weights."
        )
    checkpoint = None if entry.checkpoint is None else folder / entry.checkpoint.expanduser()
    if checkpoint is not None and not checkpoint.is_file():
        raise ParamsError(f"{where}: checkpoint {checkpoint} is not a file; paths are relative to the zoo file's folder.")
    architecture = entry.architecture
    default = _default_name(architecture, entry.factory, entry.checkpoint)
    if architecture is not None and entry.pretrained:
        architecture = default = _pinned(architecture, where)
    return ModelRef(
        name=entry.name or default,
        architecture=architecture,
        factory=None if entry.factory is None else _allowed_factory(entry.factory, folder, allowed, where),
        arguments=dict(entry.arguments),
        checkpoint=checkpoint,
        sha256=entry.sha256 and entry.sha256.lower(),
        pretrained=entry.pretrained,
        preprocessing=Preprocessing(entry.input_size, entry.mean, entry.std, entry.crop, entry.interpolation),
        family=entry.family,
        pretraining=entry.pretraining,
    )


def _pinned(architecture: str, where: str) -> str:
    """Return timm's ``architecture.tag``, so that a newer timm with another default cannot change the weights unseen."""
    from itm.zoo.timm_names import is_wildcard, timm_names  # seconds to import, and few entries need it

    if is_wildcard(architecture):
        raise ParamsError(f"{where}: architecture {architecture!r} is a wildcard; an entry is one model.")
    try:
        return timm_names(architecture)[0]
    except ModelError as error:
        raise ParamsError(f"{where}: {error}") from error


def _allowed_factory(factory: str, folder: Path, allowed: list[Path], where: str) -> str:
    """Return the factory with the path that its file has once links are followed: what was allowed is what is imported."""
    file, colon, function = factory.rpartition(":")
    if not colon or not file or not function.isidentifier():
        raise ParamsError(f"{where}: factory {factory!r} must be written 'file.py:function'.")
    path = folder / Path(file).expanduser()
    if not path.is_file():
        raise ParamsError(f"{where}: factory file {path} is not a file; it is relative to the folder of the zoo file.")
    real = path.resolve()
    if not any(real.is_relative_to(trusted) for trusted in allowed):
        raise ParamsError(
            f"{where}: factory file {real} would run code, and its path is not allowed. If you trust it, add its path or a "
            f"folder above it to zoo.code in params, or give `--code {real}`."
        )
    return f"{real}:{function}"


def _default_name(architecture: str | None, factory: str | None, checkpoint: Path | None) -> str:
    """Return ``architecture.stem``, or the stem alone where it opens with the architecture already."""
    built_by = architecture or (factory or "").rpartition(":")[2]
    if checkpoint is None or not built_by:
        return built_by
    return checkpoint.stem if checkpoint.stem.startswith(f"{built_by}.") else f"{built_by}.{checkpoint.stem}"


def _likely_name(values: Any) -> str:
    """Return the name a broken entry was meant to have, as far as it can be read."""
    if not isinstance(values, dict):
        return ""
    name, architecture, factory, checkpoint = (
        value if isinstance(value := values.get(key), str) else "" for key in ("name", "architecture", "factory", "checkpoint")
    )
    return name or _default_name(architecture, factory, Path(checkpoint) if checkpoint else None)
