"""The models that can be ranked, with their facts, licence, and where their weights are."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from itm.core.errors import ModelError
from itm.core.types import Facts, Failure, ModelRef
from itm.core.variants import Variant, split_variant
from itm.zoo.facts_table import KnownModel, known_model, matching_names
from itm.zoo.imagenet import imagenet_top1
from itm.zoo.libraries import find_library
from itm.zoo.licences import known_licence
from itm.zoo.names import check_is_name
from itm.zoo.resolve import matches, timm_model, zoo_failure
from itm.zoo.sources import has_source, is_folder, models_of_source
from itm.zoo.weight_cache import cached_file
from itm.zoo.zoo_file import Zoo, read_zoo_file

if TYPE_CHECKING:
    import torch

Place = Literal["file", "cached", "to download"]


@dataclass(frozen=True)
class Description:
    """A model as `itm models` shows it. `licence` and `top1`, the ImageNet accuracy in percent, are None where unknown."""

    name: str
    facts: Facts
    licence: str | None
    top1: float | None
    weights: Place


def list_models(pattern: str, zoo_file: Path | None, code: Iterable[Path] = ()) -> Iterator[Description | Failure]:
    """Yield each model of the zoo file and of timm that matches `pattern`. No weights are read.

    The pattern may end in a variant, of which the facts are then. An empty pattern means the models of the zoo file.
    Factories are executed, so a factory outside the paths `code` is a failure.

    Raises
    ------
    ModelError
        If no model matches.
    """
    name, text = split_variant(pattern)
    variant = Variant.parse(text) if text else None
    known = Zoo() if zoo_file is None else read_zoo_file(zoo_file, code)
    invalid = known.unnamed | known.invalid
    names = [other for other in (*known.models, *invalid) if not (variant and split_variant(other)[1])]
    own = matches(name or "*", names)
    for other in own:
        if other in invalid:
            yield zoo_failure(other, invalid[other])
        else:
            yield _described(known.models[other], variant)
    if has_source(name):
        yield from (_described(model, variant) for model in models_of_source(name))
        return
    if not name:
        return
    for other in _timm_names(name, bool(own)):
        if other not in own:
            yield _described(timm_model(other), variant)


def _timm_names(pattern: str, optional: bool) -> list[str]:
    if names := matching_names(pattern):
        return names
    try:
        check_is_name(pattern)
        from itm.zoo.timm_names import timm_names  # takes seconds to import

        return timm_names(pattern)
    except ModelError:
        if not optional:
            raise
        return []


def _described(model: ModelRef, variant: Variant | None) -> Description | Failure:
    """Return the description of a model, or of its variant."""
    is_published = replace(model, family="", pretraining="", licence=None) == timm_model(model.name)
    top1 = imagenet_top1(model.name) if is_published and not variant else None
    row = _row(model)
    candidate = variant.of(model) if variant else model
    try:
        facts = row.facts if row and not variant else measured_facts(candidate)
    except ModelError as error:
        return zoo_failure(candidate.name, str(error))
    return Description(candidate.name, facts, licence_of(model), top1, _weights(model, row))


def _row(model: ModelRef) -> KnownModel | None:
    """Return what the table says of a model of timm with its own weights and preprocessing."""
    return known_model(model.name) if replace(model, licence=None) == timm_model(model.name) else None


def published_facts(model: ModelRef) -> Facts | None:
    """Return the facts of one of timm's models from the table, or None for all others."""
    row = _row(model)
    return row.facts if row else None


def measured_facts(model: ModelRef) -> Facts:
    """Return the facts of any model, which is built without weights.

    Raises
    ------
    ModelError
        If it cannot be built, or returns no embeddings.
    """
    from itm.zoo.construct import build_on_meta  # takes seconds to import
    from itm.zoo.facts import facts, preprocessing

    module: torch.nn.Module = build_on_meta(model)
    return facts(model, module, preprocessing(model, module))


def licence_of(model: ModelRef) -> str | None:
    """Return the licence of the weights of a model, or None if neither the zoo file nor timm states one."""
    if model.licence or model.checkpoint is not None or model.repository is not None or has_source(model.architecture or ""):
        return model.licence
    name = model.architecture or ""
    if model.pretrained and (row := known_model(name)):
        return row.licence
    from itm.zoo.timm_names import timm_config

    return known_licence(timm_config(name).get("license")) if model.pretrained else None


def _weights(model: ModelRef, row: KnownModel | None) -> Place:
    """Return where the weights of a model are."""
    if model.checkpoint is not None or is_folder(model.architecture or ""):
        return "file"
    if row is not None:
        return _place(row.repository, row.file, row.url)
    if model.repository is not None:
        return _place(model.repository)
    if library := find_library(model.architecture):
        return "cached" if library.cached_weights(model.architecture or "") else "to download"
    from itm.zoo.timm_names import timm_config

    config = timm_config(model.architecture or "")
    return _place(*map(config.get, ("hf_hub_id", "hf_hub_filename", "url")))


def _place(repository: str | None, file: str | None = None, url: str | None = None) -> Place:
    return "cached" if cached_file(repository, file, url) else "to download"
