"""Build a module from a `ModelRef` and load its weights strictly."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from itm.core.errors import ModelError, did_you_mean
from itm.core.keys import file_hash
from itm.core.types import ModelRef
from itm.store.hash_cache import cached_hash
from itm.zoo.factory import factory_file, load_factory
from itm.zoo.hub import pretrained_file
from itm.zoo.state import load_state, read_state
from itm.zoo.timm_gate import timm
from itm.zoo.timm_names import check_architecture, timm_config

ARGUMENTS = ("num_classes", "img_size", "patch_size", "global_pool", "in_chans", "drop_rate", "dynamic_img_size")
SIZE_ARGUMENTS = {"img_size", "dynamic_img_size", "strict_img_size"}


def weights_file(model: ModelRef) -> Path:
    """Return the local weight file of `model`. Missing timm weights are downloaded if the network is allowed.

    Raises
    ------
    ModelError
        If there is no such file. The message says how to get it.
    """
    if model.checkpoint is None and not (model.pretrained and model.architecture):
        raise ModelError(f"{model.name}: has no weights; give a `checkpoint`, or `pretrained: true` with a timm architecture.")
    path = model.checkpoint or pretrained_file(model.architecture or "")
    if not path.is_file():
        raise ModelError(f"{model.name}: {path} is not a file; check `checkpoint`, or download the file again.")
    return path


def weights_hash(model: ModelRef, read: Callable[[Path], str] = cached_hash) -> str:
    """Return the SHA-256 of the weight file of `model`. Pass `file_hash` as `read` to bypass the hash cache.

    Raises
    ------
    ModelError
        If the file is missing and cannot be downloaded, cannot be read, or does not have the SHA-256 of `model`.
    """
    path = weights_file(model)
    try:
        actual = read(path)
    except OSError as error:
        raise ModelError(f"{model.name}: {path} cannot be read ({error.strerror}).") from error
    if model.sha256 and actual != model.sha256:
        raise ModelError(
            f"{model.name}: {path} has SHA-256 {actual}, but the zoo file says {model.sha256}; download the file again, or "
            "correct `sha256` if you want these weights."
        )
    return actual


def definition(model: ModelRef) -> dict[str, Any]:
    """Return everything except the weights that determines the output of `model`, as plain values without paths.

    It is part of content keys.
    """
    factory = model.factory and {
        "file": file_hash(factory_file(model.factory)),
        "function": model.factory.rpartition(":")[2],
    }
    return {
        "architecture": model.architecture,
        "factory": factory,
        "arguments": model.arguments,
        "input_size": model.preprocessing.input_size,
    }


def build(model: ModelRef) -> torch.nn.Module:
    """Build `model` in evaluation mode and load its weights strictly."""
    path = weights_file(model)
    if model.sha256:
        weights_hash(model, file_hash)  # before the file is parsed
    if model.pretrained:
        return _pretrained(model, path).eval()
    module = build_without_weights(model)
    load_state(module, read_state(path), path)
    return module.eval()


def build_without_weights(model: ModelRef) -> torch.nn.Module:
    """Build `model` without reading its weights. Under ``with torch.device("meta")`` it needs no memory."""
    return _make(model)


def _pretrained(model: ModelRef, path: Path) -> torch.nn.Module:
    """Let timm load its weights from `path`, because it converts some checkpoints while loading."""
    trained, wanted = timm_config(model.architecture or "").get("num_classes"), model.arguments.get("num_classes")
    if wanted and wanted != trained:
        raise ModelError(
            f"{model.name}: num_classes {wanted} would create a head with random weights, because the pre-trained head has "
            f"{trained} classes; leave num_classes out, or set it to 0 for no head."
        )
    try:
        return _make(model, pretrained=True, pretrained_cfg_overlay={"file": str(path), "custom_load": False})
    except ModelError:
        read_state(path)  # has a better message if the file is damaged
        raise


def _make(model: ModelRef, **loading: Any) -> torch.nn.Module:
    arguments = dict(model.arguments)
    factory: Callable[..., object]
    if model.factory is not None:
        factory, where = load_factory(model.factory), f"factory {model.factory}"
    elif model.architecture is not None:
        check_architecture(model.architecture)
        factory, where = timm.create_model, f"architecture {model.architecture}"
        arguments = {"model_name": model.architecture, **_with_size(model)} | loading
    else:
        raise ModelError(f"{model.name}: has neither an architecture nor a factory; give one.")
    try:
        module = factory(**arguments)
    except Exception as error:  # custom code can raise anything
        raise ModelError(f"{model.name}: {where} {_build_error(error, factory)}") from error
    return _check_embeddings(module, f"{model.name}: {where}")


def _with_size(model: ModelRef) -> dict[str, Any]:
    """Return the arguments, with the image size for architectures with a fixed one."""
    size, config = model.preprocessing.input_size, timm_config(model.architecture or "")
    if size is None or SIZE_ARGUMENTS & model.arguments.keys() or not config.get("fixed_input_size"):
        return model.arguments
    return {**model.arguments, "img_size": size}


def _build_error(error: Exception, factory: Callable[..., object]) -> str:
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error)) if isinstance(error, TypeError) else None
    if unknown is None:
        return f"cannot be built: {type(error).__name__}: {' '.join(str(error).split())[:400]}"
    accepted = [name for name, p in inspect.signature(factory).parameters.items() if p.kind is not p.VAR_KEYWORD]
    known = ARGUMENTS if factory is timm.create_model else accepted
    return f"does not take the argument {unknown[1]!r}{did_you_mean(unknown[1], known)}"


def _check_embeddings(module: object, where: str) -> torch.nn.Module:
    """Return `module` if it has the interface for embeddings, else raise a `ModelError`."""
    if not isinstance(module, torch.nn.Module):
        raise ModelError(f"{where} returned a {type(module).__name__}, not a torch.nn.Module.")
    missing = [name for name in ("forward_features", "forward_head") if not callable(getattr(module, name, None))]
    if missing:
        raise ModelError(
            f"{where} returned a {type(module).__name__} without {' and '.join(missing)}. A model needs the interface of timm: "
            "forward_head(forward_features(images), pre_logits=True) must return [images, width]."
        )
    head: Any = module.forward_head
    if not any(p.name == "pre_logits" or p.kind is p.VAR_KEYWORD for p in inspect.signature(head).parameters.values()):
        raise ModelError(f"{where} returned a {type(module).__name__} whose forward_head does not accept `pre_logits`.")
    return module
