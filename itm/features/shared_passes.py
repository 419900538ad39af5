"""Which models share a pass over the images of a data set.

Variants of one model always do. Other models do where decoded images cannot be kept: then each batch goes through all of them,
as many as fit into memory, instead of being decoded again for each.
"""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch

from itm.core.errors import ItmError
from itm.core.keys import content_key
from itm.core.params import Params
from itm.core.types import DataRef, ModelRef
from itm.features.devices import device
from itm.features.extractors import Extractor, extractor_for
from itm.features.image_reader import allowed_bytes, geometry
from itm.kinds import get_kind
from itm.store.layout import Store
from itm.zoo.load import weights_file

MEMORY = 0.25  # of the memory of the device, for the weights of models that share a pass
MOST = 16  # models in one pass

Config = dict[str, Any]


@dataclass(frozen=True)
class _Known:
    """What has to be known of a model to let it share a pass."""

    name: str
    plain: str  # equal for variants of one model
    config: Config
    bytes: int


@dataclass
class SharedPasses:
    """Numbers by model and data set, equal for those that share a pass, and the preprocessing of all models by data set.

    Workers need no numbers, so these are not pickled with every job.
    """

    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    configs: dict[str, list[Config]] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return {"numbers": {}, "configs": self.configs}


def shared_passes(pairs: Iterable[tuple[ModelRef, DataRef]], params: Params, store: Store) -> SharedPasses:
    """Return which of the pairs share a pass. A model that cannot be described has one of its own, where it fails."""
    known: dict[tuple[str, str], _Known | None] = {}
    of_data: dict[str, tuple[DataRef, list[_Known]]] = {}
    for model, data in pairs:
        key = model.name, get_kind(data.target.kind).level
        if key not in known:
            known[key] = _describe(extractor_for(model, data))
        if one := known[key]:
            of_data.setdefault(data.name, (data, []))[1].append(one)
    found, number = SharedPasses(), 0
    for data, models in of_data.values():
        by_geometry: dict[str, list[_Known]] = {}
        for one in models:
            by_geometry.setdefault(content_key(geometry(one.config)), []).append(one)
        found.configs[data.name] = [own[0].config for own in by_geometry.values()]
        room = _room(params, store)
        for own in by_geometry.values():
            size = data.images * math.prod(own[0].config["input_size"])
            fits, room = size <= room, room - size if size <= room else room
            for together in _variants(own) if fits else _merged(list(_variants(own)), params):
                found.numbers |= {(one.name, data.name): number for one in together}
                number += 1
    return found


def _describe(extractor: Extractor) -> _Known | None:
    model = extractor.model
    with suppress(ItmError, OSError):  # its extraction raises it
        return _Known(model.name, extractor.plain_key, extractor.preprocessing, weights_file(model).stat().st_size)
    return None


def _room(params: Params, store: Store) -> int:
    """Return how many bytes of decoded images can be kept."""
    limit = params.extract.decoded
    if isinstance(limit, int):
        return limit
    return 0 if limit == "off" else allowed_bytes(store.decoded)


def _variants(models: Iterable[_Known]) -> Iterable[list[_Known]]:
    """Return the variants of each model together."""
    found: dict[str, list[_Known]] = {}
    for one in models:
        found.setdefault(one.plain, []).append(one)
    return found.values()


def _merged(groups: Sequence[list[_Known]], params: Params) -> Iterator[list[_Known]]:
    """Yield models that fit into memory together, but leave some for every worker."""
    most = min(MOST, math.ceil(len(groups) / params.runner.workers))
    target = device(params.extract.device)
    memory = MEMORY * _memory(target) / (1 if target.type == "cuda" else params.runner.workers)
    together: list[list[_Known]] = []
    for own in groups:
        size = sum(other[0].bytes for other in (*together, own))
        if together and (len(together) == most or size > memory):
            yield [one for other in together for one in other]
            together = []
        together.append(own)
    if together:
        yield [one for other in together for one in other]


def _memory(target: torch.device) -> int:
    """Return the bytes of memory of a device."""
    if target.type == "cuda":
        return int(torch.cuda.get_device_properties(target).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
