"""The zoo file: a YAML list of your own checkpoints.

Each entry is validated separately. An invalid entry does not affect the others; its reason is kept under its name. Paths are
relative to the folder of the file. A factory executes code, so its path must be allowed in params or on the command line, never
by the zoo file itself.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from itm.core.errors import ItmError, ModelError, ParamsError
from itm.core.types import ModelRef, Preprocessing
from itm.core.variants import SEPARATOR, Variant, as_list, split_variant
from itm.core.yaml_records import parse, read_yaml
from itm.zoo.facts_table import matching_names
from itm.zoo.licences import known_licence
from itm.zoo.names import WEIGHT_FILES, is_wildcard, without_source
from itm.zoo.packaged import check_is_zoo_file, zoo_path
from itm.zoo.sources import has_source, with_source
from itm.zoo.units import Crop, InputSize, Mean, Std, check_channels

Interpolation = Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"]
log = logging.getLogger(__name__)

RESERVED = {"cache_dir", "checkpoint_path", "model_name", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay"}


class Entry(BaseModel):
    """One model of a zoo file, as written there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # definition
    name: str = ""
    architecture: str | None = None
    factory: str | None = None
    arguments: dict[str, JsonValue] = {}
    # weights
    checkpoint: Path | None = None
    sha256: str | None = Field(None, pattern="^[0-9a-fA-F]{64}$")
    weights_key: str | None = Field(None, min_length=1)
    pretrained: bool = False
    # preprocessing
    input_size: InputSize | None = None
    mean: Mean | None = None
    std: Std | None = None
    crop: Crop | None = None
    interpolation: Interpolation | None = None
    # further candidates
    variants: Annotated[tuple[Any, ...], BeforeValidator(as_list)] = ()  # an invalid one does not affect the others
    # shown in a ranking
    family: str = ""
    pretraining: str = ""
    licence: str = ""
    reason: str = ""  # why the model is in the zoo, for readers of the file

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            raise ValueError(
                f"is {values!r}, but must be keys and values, such as {{architecture: resnet18, pretrained: true}}"
            )
        return values

    @model_validator(mode="after")
    def _check_channels(self) -> Self:
        if "in_chans" in self.arguments or self.architecture is not None:
            check_channels(self.arguments.get("in_chans", 3), self.mean, self.std)
        return self


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[Any, ...]
    about: str = ""  # for readers of the file
    date: str = ""

    @model_validator(mode="before")
    @classmethod
    def _check_list(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("models", []), list):
            raise ValueError(
                "must be a list of models under `models`, such as `models: [{architecture: resnet18, pretrained: true}]`"
            )
        return values


@dataclass(frozen=True)
class Zoo:
    """A validated zoo file: models by name, in its order, and the reasons why other entries are invalid."""

    models: dict[str, ModelRef] = field(default_factory=dict)
    invalid: dict[str, str] = field(default_factory=dict)  # by name
    unnamed: dict[str, str] = field(default_factory=dict)  # by position in the file, such as "models[0]"


def read_zoo_file(path: Path, code: Iterable[Path] = ()) -> Zoo:
    """Read a zoo file, or the zoo of the package of this name, without executing code.

    Factories must be in the files or folders `code`.
    """
    path = zoo_path(path)
    check_is_zoo_file(path)
    entries, allowed = read_yaml(path, _File).models, [trusted.expanduser().resolve() for trusted in code]
    zoo, positions = Zoo(), dict[str, str]()
    for number, values in enumerate(entries):
        position = f"models[{number}]"
        where = f"{path}: {position}"
        try:
            entry = parse(values, Entry, where)
            model = _model(entry, path.parent.resolve(), allowed, where)
        except ParamsError as error:
            reason = " ".join(str(error).splitlines())
            name = _likely_name(values)
            if not name:
                zoo.unnamed[position] = reason
                continue
            zoo.invalid.setdefault(name, reason)
        else:
            name = model.name
            zoo.models.setdefault(name, model)
            for text in entry.variants:
                try:
                    variant = Variant.parse(str(text)).of(model)
                    zoo.models.setdefault(variant.name, variant)
                except ModelError as error:
                    zoo.invalid[f"{name}{SEPARATOR}{text}"] = f"{where}: variants: {error}"
        if name in positions:
            zoo.invalid[name] = f"{path}: {positions[name]} and {position} are both named {name!r}; give each its own `name`."
        positions.setdefault(name, position)
    for name in [name for name in zoo.models if split_variant(name)[0] in zoo.invalid]:
        del zoo.models[name]
    return zoo


def _model(entry: Entry, folder: Path, allowed: list[Path], where: str) -> ModelRef:
    if (entry.architecture is None) == (entry.factory is None):
        content = "both an `architecture` and a `factory`" if entry.factory else "neither an `architecture` nor a `factory`"
        raise ParamsError(f"{where}: has {content}; give one: a timm architecture, or your own 'file.py:function'.")
    if entry.factory is not None and entry.pretrained:
        raise ParamsError(f"{where}: a `factory` has no timm weights; give a `checkpoint` instead of `pretrained: true`.")
    if entry.checkpoint is None and not entry.pretrained:
        raise ParamsError(
            f"{where}: has no `checkpoint`. A model needs a weight file, whose hash is its identity. Give the file (for an "
            "untrained model, save its random weights), or `pretrained: true` for timm weights."
        )
    if entry.architecture is not None and (reserved := RESERVED & entry.arguments.keys()):
        raise ParamsError(
            f"{where}: arguments: {', '.join(sorted(reserved))} is not for `arguments`; weights are named by `checkpoint` or "
            "`pretrained`, and the model by `architecture`."
        )
    checkpoint = None if entry.checkpoint is None else folder / entry.checkpoint.expanduser()
    if checkpoint is not None and checkpoint.is_dir():
        raise ParamsError(
            f"{where}: checkpoint {checkpoint} is a folder; name the weight file in it{_weight_file_in(checkpoint)}"
        )
    if checkpoint is not None and not checkpoint.is_file():
        raise ParamsError(f"{where}: checkpoint {checkpoint} is not a file; paths are relative to the folder of the zoo file.")
    if entry.std and min(entry.std) < 0.01:
        log.info("%s: std %g shows the model values up to %.0f", where, min(entry.std), 1 / min(entry.std))
    is_sourced = has_source(entry.architecture or "")
    architecture = entry.architecture if is_sourced else entry.architecture and without_source(entry.architecture)
    default = _default_name(architecture, entry.factory, entry.checkpoint)
    if architecture is not None and entry.pretrained and not is_sourced:
        architecture = default = _with_tag(architecture, where)
    name = entry.name or default
    if SEPARATOR in name:
        raise ParamsError(f"{where}: name {name!r}: {SEPARATOR!r} is between a model and its variant; give another `name`.")
    found = ModelRef(
        name=name,
        architecture=architecture,
        factory=None if entry.factory is None else _allowed_factory(entry.factory, folder, allowed, where),
        arguments=dict(entry.arguments),
        checkpoint=checkpoint,
        sha256=entry.sha256 and entry.sha256.lower(),
        weights_key=entry.weights_key,
        pretrained=entry.pretrained,
        preprocessing=Preprocessing(entry.input_size, entry.mean, entry.std, entry.crop, entry.interpolation),
        family=entry.family,
        pretraining=entry.pretraining,
        licence=known_licence(entry.licence),
    )
    try:
        return with_source(found, folder)
    except ItmError as error:
        raise ParamsError(f"{where}: {error}") from error


def _weight_file_in(folder: Path) -> str:
    names = sorted(path.name for path in folder.glob("*") if path.suffix in WEIGHT_FILES)
    return f", such as {names[0]}." if names else "."


def _with_tag(architecture: str, where: str) -> str:
    """Return timm's ``architecture.tag``, because a newer timm can have another default tag."""
    if is_wildcard(architecture):
        raise ParamsError(f"{where}: architecture {architecture!r} is a wildcard; an entry must be one model.")
    if matching_names(architecture):
        return architecture
    from itm.zoo.timm_names import timm_names  # takes seconds to import, and few entries need it

    try:
        return timm_names(architecture)[0]
    except ModelError as error:
        raise ParamsError(f"{where}: {error}") from error


def _allowed_factory(factory: str, folder: Path, allowed: list[Path], where: str) -> str:
    """Return the factory with links in its path resolved, after checking that this path is allowed."""
    file, colon, function = factory.rpartition(":")
    if not colon or not file or not function.isidentifier():
        raise ParamsError(f"{where}: factory {factory!r} must have the form 'file.py:function'.")
    path = folder / Path(file).expanduser()
    if not path.is_file():
        raise ParamsError(f"{where}: factory file {path} is not a file; paths are relative to the folder of the zoo file.")
    real = path.resolve()
    if not any(real.is_relative_to(trusted) for trusted in allowed):
        raise ParamsError(
            f"{where}: factory file {real} would run code, and its path is not allowed. If you trust it, add its path or a "
            f"folder above it to zoo.code in params, or give `--code {real}`."
        )
    return f"{real}:{function}"


def _default_name(architecture: str | None, factory: str | None, checkpoint: Path | None) -> str:
    """Return ``architecture.stem``, or only the stem if it starts with the architecture."""
    built_by = architecture or (factory or "").rpartition(":")[2]
    if checkpoint is None or not built_by:
        return built_by
    return checkpoint.stem if checkpoint.stem.startswith(f"{built_by}.") else f"{built_by}.{checkpoint.stem}"


def _likely_name(values: Any) -> str:
    """Return the name of an invalid entry, or "" if it is not readable."""
    if not isinstance(values, dict):
        return ""
    name, architecture, factory, checkpoint = (
        value if isinstance(value := values.get(key), str) else "" for key in ("name", "architecture", "factory", "checkpoint")
    )
    return name or _default_name(architecture, factory, Path(checkpoint) if checkpoint else None)
