"""What of a benchmark is in place, weights of checkpoints and folders of data sets, and what to do about the rest."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import huggingface_hub
import torch

from itm.benchmark.itm20.pool import Checkpoint, DataSet
from itm.core.errors import ItmError, ModelError
from itm.core.secrets import told
from itm.data.rows import Listing
from itm.data.sources.folder import list_folder
from itm.data.sources.table import list_table
from itm.zoo.hub import pretrained_file

log = logging.getLogger(__name__)
TABLES: tuple[Literal["csv", "parquet"], ...] = ("csv", "parquet")


@dataclass(frozen=True)
class Item:
    """A checkpoint or data set of a benchmark: where it lies, None if it cannot be used, and what is to be said of it."""

    name: str
    stands_for: str
    place: str | None
    state: str


def look_at_data(data_sets: Sequence[DataSet], root: Path) -> tuple[Item, ...]:
    """Look for each data set below `root`: a folder of its name with a sub-folder a class, or an index of its name.

    The place of an item is the source for it. With another number of classes than is known of it, a data set is another task
    and not used; a part of its images is used, and said.
    """
    return tuple(Item(data.name, data.published, *_source(data, root)) for data in data_sets)


def look_at_weights(checkpoints: Sequence[Checkpoint], fetch: bool) -> tuple[Item, ...]:
    """Look for the weight file of each checkpoint, and fetch those that are missing where `fetch` and the network allow it.

    The place of an item is its file. With HF_HUB_OFFLINE nothing is fetched from anywhere.
    """
    if not fetch and not huggingface_hub.constants.HF_HUB_OFFLINE:
        waiting = "not looked for, since no data set is in place; fetched when one is"
        return tuple(Item(checkpoint.row, checkpoint.name, None, waiting) for checkpoint in checkpoints)
    return tuple(Item(checkpoint.row, checkpoint.name, *_weights(checkpoint)) for checkpoint in checkpoints)


def what_to_do(root: Path) -> tuple[str, ...]:
    """Return where missing data sets and weights belong."""
    torchs = Path(torch.hub.get_dir()) / "checkpoints"
    return (
        f"A data set is a folder of its name below {root} with a sub-folder a class, or an index of its name there, .csv or "
        ".parquet, with the columns path and label.",
        f"Weights of timm lie in the Hugging Face cache ({huggingface_hub.constants.HF_HUB_CACHE}, by HF_HOME), others in "
        f"torch's ({torchs}, by TORCH_HOME); those with an address are fetched where there is a network and a data set.",
    )


def own_file(checkpoint: Checkpoint) -> Path:
    """Return where the file of a checkpoint that timm does not have lies: where torch keeps what it downloads."""
    return Path(torch.hub.get_dir()) / "checkpoints" / checkpoint.file


def _source(data: DataSet, root: Path) -> tuple[str | None, str]:
    folder = root / data.name
    try:
        if folder.is_dir():
            return _counted(data, f"folder:{folder}", list_folder(folder))
        for kind in TABLES:
            if (table := root / f"{data.name}.{kind}").is_file():
                return _counted(data, f"{kind}:{table}", list_table(table, kind))
    except ItmError as error:
        return None, str(error)
    return None, "missing"


def _counted(data: DataSet, source: str, listing: Listing) -> tuple[str | None, str]:
    classes, images = len(listing.classes), len(listing.rows)
    if classes not in data.classes:
        usual = " or ".join(map(str, data.classes))
        return None, f"{source} has {classes} classes, not {usual}; check that it is {data.published}"
    return source, f"{classes} classes, {images:,}{f' of {data.images:,}' if images < data.images else ''} images"


def _weights(checkpoint: Checkpoint) -> tuple[str | None, str]:
    try:
        return str(_fetched(checkpoint) if checkpoint.file else pretrained_file(checkpoint.name)), "in place"
    except ModelError as error:
        if not huggingface_hub.constants.HF_HUB_OFFLINE:
            log.warning("%s", error)
    fetch = f"fetch {checkpoint.published}" if checkpoint.file else f"`hf download timm/{checkpoint.name}`"
    if checkpoint.file and not checkpoint.published.endswith(checkpoint.file):
        fetch = f"get {checkpoint.file} from {checkpoint.published}"
    return None, f"missing: {fetch}"


def _fetched(checkpoint: Checkpoint) -> Path:
    """Return a file that timm does not have, or say why it could not be fetched."""
    path = own_file(checkpoint)
    if path.is_file():
        return path
    if huggingface_hub.constants.HF_HUB_OFFLINE or not checkpoint.published.endswith(checkpoint.file):
        raise ModelError(f"{checkpoint.name}: {path} is missing.")
    log.info("fetching %s", checkpoint.published)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(checkpoint.published, str(path), progress=False)
    except Exception as error:  # no network, no access, no space: whatever it is, there is no file
        raise ModelError(f"{checkpoint.name}: {checkpoint.published} cannot be downloaded ({told(error)}).") from error
    return path
