"""Weight files: read without running their code, and put into a module so that every key has its place."""

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from itm.core.errors import ModelError

WRAPPERS = ("state_dict", "model")  # where training scripts put the weights among other things
PREFIXES = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before every key
HEADS = ("fc", "head", "classifier", "head_dist", "head.fc")
SHOWN = 5


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a weight file by name: safetensors, or what torch.save writes, wrapped or not.

    Raises
    ------
    ModelError
        If the file is missing, damaged, needs code of its own to be read, or holds anything but named tensors.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weight file; check `checkpoint`, or fetch the file again.")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _torch_load(path)
    except Exception as error:  # each reader has its own words for a damaged file, down to bare RuntimeErrors
        raise ModelError(f"{path}: {_why_unreadable(path, error)}") from error
    state: dict[str, torch.Tensor] = _unwrapped(content)
    if not _is_state(state):
        found = f"the keys {_some(map(str, state))}" if isinstance(state, dict) else f"a {type(state).__name__}"
        raise ModelError(
            f"{path}: holds {found} and no weights by name. It must be a state dict, plain or under "
            f"{' or '.join(map(repr, WRAPPERS))}."
        )
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    return state


def fill(module: torch.nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    """Put `state` into `module`, in the module's own number type.

    Raises
    ------
    ModelError
        If a key is missing, left over or of another shape; the message names them and says what to set.
    """
    try:
        result = module.load_state_dict(state, strict=False)
        missing, leftover, reshaped = list(result.missing_keys), list(result.unexpected_keys), list[str]()
    except RuntimeError:  # other shapes raise whether strict or not
        own = module.state_dict()
        missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]  # torch does without
        leftover = [k for k in state if k not in own]
        reshaped = [k for k in own if k in state and own[k].shape != state[k].shape]
        if not reshaped:
            raise
    if not (missing or leftover or reshaped):
        return
    told = [f"{len(missing)} missing from the file: {_some(missing)}"] if missing else []
    told += [f"{len(leftover)} left over in the file: {_some(leftover)}"] if leftover else []
    if reshaped:
        own = module.state_dict()
        shapes = (f"{k} {list(state[k].shape)} in the file, {list(own[k].shape)} in the model" for k in reshaped)
        told += [f"{len(reshaped)} of another shape: {_some(shapes)}"]
    hint = _hint(module, state, missing, leftover, reshaped)
    raise ModelError(f"{path}: the weights do not fit the model. Keys {'; '.join(told)}. {hint}")


def _torch_load(path: Path) -> Any:
    # timm's and many others' training scripts store their command line beside the weights; a Namespace is plain data
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _why_unreadable(path: Path, error: Exception) -> str:
    with path.open("rb") as stream:
        start = stream.read(64).lstrip()
    if not start:
        return "is empty; fetch it again."
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the weights themselves; run `git lfs pull`."
    if start.startswith((b"<", b"{")):
        return "is a web page or text, not weights (a download that failed?); fetch it again."
    code = re.search(r"GLOBAL (\S+)", str(error))
    if code:
        return (
            f"is a pickle that needs {code[1]} to be read, and reading it could run any code, so it is refused. If you trust "
            "it, convert it once: `torch.save(torch.load(OLD, weights_only=False)['state_dict'], NEW)` (or `.state_dict()` "
            "where it holds a whole module), and give NEW."
        )
    text = " ".join(str(error).split()) or type(error).__name__
    return f"is damaged or no weight file ({text[:200]}); fetch it again, or save it again as safetensors."


def _unwrapped(content: Any) -> Any:
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            return content[wrapper]
    return content


def _is_state(content: Any) -> bool:
    return (
        bool(content)
        and isinstance(content, dict)
        and all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in content.items())
    )


def _hint(
    module: torch.nn.Module, state: dict[str, torch.Tensor], missing: list[str], leftover: list[str], reshaped: list[str]
) -> str:
    heads = _heads(module)
    in_file = [k for k in (*leftover, *reshaped) if k.rpartition(".")[0] in heads]
    in_model = [k for k in missing if k.rpartition(".")[0] in heads]
    if len(in_file) + len(in_model) == len(missing) + len(leftover) + len(reshaped):
        classes = len(state[in_file[0]]) if in_file else 0
        return f"Only the head differs: set `arguments: {{num_classes: {classes}}}`."
    if len(missing) > len(module.state_dict()) / 2:
        return "Most of the model's keys are missing, so this is probably another model: check `architecture` or `factory`."
    return "Check `arguments` (sizes, widths, options) and `architecture`."


def _heads(module: torch.nn.Module) -> set[str]:
    config = getattr(module, "pretrained_cfg", None) or {}
    named = config.get("classifier") or ()
    return {*HEADS, *((named,) if isinstance(named, str) else named)}


def _some(keys: Iterable[str]) -> str:
    names = list(keys)
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
