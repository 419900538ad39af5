"""Add a trained model to the embedded zoo: its weights and its entry of the zoo file."""

from pathlib import Path
from typing import Any

import torch
import yaml
from filelock import FileLock
from safetensors.torch import save_file

from itm.store.files import write_atomically, write_text


def write_checkpoint(model: torch.nn.Module, entry: dict[str, Any], folder: Path) -> None:
    """Write the weights, with matrices and kernels in half precision, and add or replace the entry in zoo.yaml.

    Raises
    ------
    StoreError
        If the folder is not writable.
    """
    state = {name: (value.half() if value.ndim > 1 else value).contiguous() for name, value in model.state_dict().items()}
    write_atomically(folder / entry["checkpoint"], lambda path: save_file(state, path))
    zoo = folder / "zoo.yaml"
    with FileLock(folder / "zoo.lock"):  # several processes train models
        known = yaml.safe_load(zoo.read_text(encoding="utf-8"))["models"] if zoo.exists() else []
        entries = {other["name"]: other for other in known} | {entry["name"]: entry}
        write_text(zoo, yaml.safe_dump({"models": list(entries.values())}, sort_keys=False))
