"""Availability of the weights and data sets of a benchmark, and instructions for missing ones."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import huggingface_hub
import torch

from itm.benchmark.itm20.pool import Checkpoint, DataSet
from itm.core.errors import ItmError, ModelError
from itm.core.secrets import error_message
from itm.data.sources.parse import parse_source
from itm.store.layout import Store
from itm.zoo.hub import pretrained_file

log = logging.getLogger(__name__)
TABLES: tuple[Literal["csv", "parquet"], ...] = ("csv", "parquet")


@dataclass(frozen=True)
class Item:
    """Availability of a checkpoint or data set of a benchmark."""

    name: str
    identity: str  # name of the checkpoint, or of the published data set
    location: str | None  # path of the weights, or source of the data set
    state: str  # availability in words


def find_data(data_sets: Sequence[DataSet], root: Path) -> tuple[Item, ...]:
    """Find each data set below `root`: a folder with its name and one sub-folder per class, or an index with its name.

    A data set with an unexpected number of classes is not used. A data set with only a part of its images is used and reported.
    """
    return tuple(Item(data.name, data.published, *_source(data, root)) for data in data_sets)


def find_weights(checkpoints: Sequence[Checkpoint], fetch: bool) -> tuple[Item, ...]:
    """Find the weight file of each checkpoint. With `fetch`, download missing files unless HF_HUB_OFFLINE is set."""
    if not fetch and not huggingface_hub.constants.HF_HUB_OFFLINE:
        waiting = "not checked: it is downloaded once a data set is available"
        return tuple(Item(checkpoint.row, checkpoint.name, None, waiting) for checkpoint in checkpoints)
    return tuple(Item(checkpoint.row, checkpoint.name, *_weights(checkpoint)) for checkpoint in checkpoints)


def instructions(root: Path) -> tuple[str, ...]:
    torch_cache = Path(torch.hub.get_dir()) / "checkpoints"
    return (
        f"A data set is a folder with its name in {root} with one sub-folder per class, or an index with its name there, .csv "
        "or .parquet, with the columns path and label.",
        f"Weights of timm are in the Hugging Face cache ({huggingface_hub.constants.HF_HUB_CACHE}, set by HF_HOME), others in "
        f"the cache of torch ({torch_cache}, set by TORCH_HOME). Weights with a URL are downloaded when a data set exists.",
    )


def weights_path(checkpoint: Checkpoint) -> Path:
    """Return the path of a weight file that timm does not have, in the cache of torch."""
    return Path(torch.hub.get_dir()) / "checkpoints" / checkpoint.file


def _source(data: DataSet, root: Path) -> tuple[str | None, str]:
    folder = root / data.name
    try:
        if folder.is_dir():
            return _check_classes(data, f"folder:{folder}")
        for kind in TABLES:
            if (table := root / f"{data.name}.{kind}").is_file():
                return _check_classes(data, f"{kind}:{table}")
    except ItmError as error:
        return None, str(error)
    return None, "missing"


def _check_classes(data: DataSet, source: str) -> tuple[str | None, str]:
    """Return the source if its number of classes is expected, else None, and its state."""
    listing = parse_source(source).source.list(Store(Path()))  # local files: nothing is written to the store
    classes, images = len({*listing.names, *(row.target for row in listing.rows)}), len(listing.rows)
    if classes not in data.classes:
        expected = " or ".join(map(str, data.classes))
        return None, f"{source} has {classes} classes, not {expected}; check that it is {data.published}"
    return source, f"{classes} classes, {images:,}{f' of {data.images:,}' if images < data.images else ''} images"


def _weights(checkpoint: Checkpoint) -> tuple[str | None, str]:
    try:
        return str(_download(checkpoint) if checkpoint.file else pretrained_file(checkpoint.name)), "available"
    except ModelError as error:
        if not huggingface_hub.constants.HF_HUB_OFFLINE:
            log.warning("%s", error)
    remedy = f"download {checkpoint.published}" if checkpoint.file else f"`hf download timm/{checkpoint.name}`"
    if checkpoint.file and not checkpoint.published.endswith(checkpoint.file):
        remedy = f"get {checkpoint.file} from {checkpoint.published}"
    return None, f"missing: {remedy}"


def _download(checkpoint: Checkpoint) -> Path:
    """Return a weight file that timm does not have, after downloading it if necessary."""
    path = weights_path(checkpoint)
    if path.is_file():
        return path
    if huggingface_hub.constants.HF_HUB_OFFLINE or not checkpoint.published.endswith(checkpoint.file):
        raise ModelError(f"{checkpoint.name}: {path} is missing.")
    log.info("downloading %s", checkpoint.published)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(checkpoint.published, str(path), progress=False)
    except Exception as error:  # no network, no access, no space
        raise ModelError(f"{checkpoint.name}: {checkpoint.published} cannot be downloaded ({error_message(error)}).") from error
    return path
