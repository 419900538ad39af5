"""Read weight files without executing code, and load them into modules strictly."""

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from itm.core.errors import ModelError

WRAPPERS = ("state_dict", "model")  # keys under which training scripts store the weights
PREFIXES = ("module.", "_orig_mod.")  # prefixes that DataParallel and torch.compile add
HEADS = ("fc", "head", "classifier", "head_dist", "head.fc")
SHOWN = 5


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict of a safetensors file or a file of torch.save. `WRAPPERS` and `PREFIXES` are removed.

    Raises
    ------
    ModelError
        If the file is missing or damaged, needs code to be read, or has other content than named tensors.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weight file; check `checkpoint`, or download the file again.")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _torch_load(path)
    except Exception as error:  # readers raise many error types for damaged files
        raise ModelError(f"{path}: {_read_error(path, error)}") from error
    state: dict[str, torch.Tensor] = _unwrap(content)
    if not _is_state(state):
        content_text = f"the keys {_some(map(str, state))}" if isinstance(state, dict) else f"a {type(state).__name__}"
        raise ModelError(
            f"{path}: contains {content_text} instead of named weights. It must be a state dict, possibly under the key "
            f"{' or '.join(map(repr, WRAPPERS))}."
        )
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    return state


def load_state(module: torch.nn.Module, state: dict[str, torch.Tensor], path: Path) -> None:
    """Copy `state` into `module`, converted to the dtype of the module.

    Raises
    ------
    ModelError
        If a key is missing, unexpected, or has another shape. The message lists the keys and gives a hint.
    """
    own = module.state_dict()
    try:
        result = module.load_state_dict(state, strict=False)
        missing, unexpected, reshaped = list(result.missing_keys), list(result.unexpected_keys), list[str]()
    except RuntimeError:  # different shapes raise even if strict is False
        missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]  # torch does not require it
        unexpected = [k for k in state if k not in own]
        reshaped = [k for k in own if k in state and own[k].shape != state[k].shape]
        if not reshaped:
            raise
    if not (missing or unexpected or reshaped):
        return
    problems = [f"{len(missing)} missing in the file: {_some(missing)}"] if missing else []
    problems += [f"{len(unexpected)} unexpected in the file: {_some(unexpected)}"] if unexpected else []
    if reshaped:
        shapes = (f"{k} {list(state[k].shape)} in the file, {list(own[k].shape)} in the model" for k in reshaped)
        problems += [f"{len(reshaped)} with another shape: {_some(shapes)}"]
    hint = _hint(module, state, missing, unexpected, reshaped)
    raise ModelError(f"{path}: the weights do not fit the model. Keys {'; '.join(problems)}. {hint}")


def _torch_load(path: Path) -> Any:
    # training scripts of timm and others store their arguments with the weights; a Namespace is plain data
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _read_error(path: Path, error: Exception) -> str:
    with path.open("rb") as stream:
        start = stream.read(64).lstrip()
    if not start:
        return "is empty; download it again."
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the weights themselves; run `git lfs pull`."
    if start.startswith((b"<", b"{")):
        return "is a web page or text, not weights (a failed download?); download it again."
    code = re.search(r"GLOBAL (\S+)", str(error))
    if code:
        return (
            f"is a pickle that needs {code[1]}, and reading it could execute any code, so it is rejected. If you trust it, "
            "convert it once: `torch.save(torch.load(OLD, weights_only=False)['state_dict'], NEW)` (or `.state_dict()` for a "
            "whole module), and use NEW."
        )
    text = " ".join(str(error).split()) or type(error).__name__
    return f"is damaged or not a weight file ({text[:200]}); download it again, or save it again as safetensors."


def _unwrap(content: Any) -> Any:
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
    module: torch.nn.Module, state: dict[str, torch.Tensor], missing: list[str], unexpected: list[str], reshaped: list[str]
) -> str:
    heads = _heads(module)
    in_file = [k for k in (*unexpected, *reshaped) if k.rpartition(".")[0] in heads]
    in_model = [k for k in missing if k.rpartition(".")[0] in heads]
    if len(in_file) + len(in_model) == len(missing) + len(unexpected) + len(reshaped):
        classes = len(state[in_file[0]]) if in_file else 0
        return f"Only the head differs: set `arguments: {{num_classes: {classes}}}`."
    if len(missing) > len(module.state_dict()) / 2:
        return (
            "Most keys of the model are missing, so the file is probably of another model: check `architecture` or `factory`."
        )
    return "Check `arguments` (sizes, widths, options) and `architecture`."


def _heads(module: torch.nn.Module) -> set[str]:
    config = getattr(module, "pretrained_cfg", None) or {}
    named = config.get("classifier") or ()
    return {*HEADS, *((named,) if isinstance(named, str) else named)}


def _some(keys: Iterable[str]) -> str:
    names = list(keys)
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
