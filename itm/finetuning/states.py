"""States of runs that are not finished: everything that a run needs to go on. They are large, and are deleted at its end."""

import json
import logging
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from itm.core.errors import StoreError, cause
from itm.finetuning.training import State
from itm.finetuning.trajectory import Mark, Position
from itm.store.files import check_space, exists, write_atomically

log = logging.getLogger(__name__)

POSITION = "position"  # its name among the metadata of the file


def write_state(path: Path, key: str, snapshot: State, position: Position) -> None:
    """Write the state of a run. If that fails, it is logged: the run then begins again."""
    tensors = {name: tensor.cpu() for name, tensor in snapshot.items()}
    facts = {"key": key, POSITION: json.dumps(asdict(position))}
    try:
        check_space(path, sum(tensor.nbytes for tensor in tensors.values()))
        write_atomically(path, lambda temporary: save_file(tensors, temporary, facts))
    except StoreError as error:
        log.warning("the state of a fine-tuning run is not kept, so the run will begin again: %s", error)


def read_position(path: Path, key: str) -> Position | None:
    """Return how far a stored run of `key` has come, or None if there is none. A damaged file is logged and ignored."""
    if not exists(path):
        return None
    try:
        with safe_open(path, framework="np") as file:
            facts = file.metadata() or {}
        if facts.get("key") != key:
            return None
        values = json.loads(facts[POSITION])
        return Position(**values | {"marks": tuple(Mark(*mark) for mark in values["marks"])})
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        _warn(path, error)
        return None


def read_snapshot(path: Path) -> State | None:
    """Return the tensors of a stored run, or None if they cannot be read."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        _warn(path, error)
        return None


def _warn(path: Path, error: Exception) -> None:
    log.warning("%s: the state of a fine-tuning run cannot be read (%s); the run begins again.", path, cause(error))
