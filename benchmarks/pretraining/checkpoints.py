"""Puts a trained model into the embedded zoo: its weights, and its lines of the zoo file, whatever else stands there."""

from pathlib import Path
from typing import Any

import torch
import yaml
from filelock import FileLock
from safetensors.torch import save_file

from itm.store.files import write_beside, write_text


def write_checkpoint(model: torch.nn.Module, entry: dict[str, Any], folder: Path) -> None:
    """Write the weights, matrices and kernels in half precision, and the model's entry of zoo.yaml in its old place or last.

    Raises
    ------
    StoreError
        If the folder cannot be written to.
    """
    state = {name: (value.half() if value.ndim > 1 else value).contiguous() for name, value in model.state_dict().items()}
    write_beside(folder / entry["checkpoint"], lambda path: save_file(state, path))
    zoo = folder / "zoo.yaml"
    with FileLock(folder / "zoo.lock"):  # models are trained in several processes
        known = yaml.safe_load(zoo.read_text(encoding="utf-8"))["models"] if zoo.exists() else []
        entries = {one["name"]: one for one in known} | {entry["name"]: entry}
        write_text(zoo, yaml.safe_dump({"models": list(entries.values())}, sort_keys=False))
