"""From a `ModelRef` to a module with its weights, every key in its place, or an error that says why not."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from itm.core.errors import ModelError, did_you_mean
from itm.core.keys import file_hash
from itm.core.types import ModelRef
from itm.store.hash_cache import known_hash
from itm.zoo.factory import factory_file, load_factory
from itm.zoo.hub import pretrained_file
from itm.zoo.state import fill, read_state
from itm.zoo.timm_import import timm
from itm.zoo.timm_names import check_architecture, timm_config

ARGUMENTS = ("num_classes", "img_size", "patch_size", "global_pool", "in_chans", "drop_rate", "dynamic_img_size")
SIZE_ARGUMENTS = {"img_size", "dynamic_img_size", "strict_img_size"}


def weights_file(model: ModelRef) -> Path:
    """Return the local file that holds the weights of `model`; timm's own are downloaded if missing and allowed.

    Raises
    ------
    ModelError
        If there is no such file; the message says how to bring it.
    """
    if model.checkpoint is None and not (model.pretrained and model.architecture):
        raise ModelError(f"{model.name}: has no weights; give a `checkpoint`, or `pretrained: true` with a timm architecture.")
    path = model.checkpoint or pretrained_file(model.architecture or "")
    if not path.is_file():
        raise ModelError(f"{model.name}: {path} is not a file; check `checkpoint`, or fetch the file again.")
    return path


def weights_hash(model: ModelRef, read: Callable[[Path], str] = known_hash) -> str:
    """Return the SHA-256 of the weight file of `model`, without building it; `file_hash` reads also what looks unchanged.

    Raises
    ------
    ModelError
        If the file is missing and cannot be fetched, cannot be read, or is not the one that `model` names by its SHA-256.
    """
    path = weights_file(model)
    try:
        found = read(path)
    except OSError as error:
        raise ModelError(f"{model.name}: {path} cannot be read ({error.strerror}).") from error
    if model.sha256 and found != model.sha256:
        raise ModelError(
            f"{model.name}: {path} has SHA-256 {found}, and the zoo file says {model.sha256}; fetch the file again, or mend "
            "`sha256` if other weights are meant."
        )
    return found


def definition(model: ModelRef) -> dict[str, Any]:
    """Return all that decides, beside the weights, what `model` computes, in plain values free of paths: for content keys.

    Raises
    ------
    ModelError
        If the file of a custom factory is missing.
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
    """Return `model` built, with its weights loaded strictly, ready for evaluation.

    Raises
    ------
    ModelError
        If it cannot be built, its weights cannot be had or read, are not those it names by their SHA-256, or do not fit.
    """
    path = weights_file(model)
    if model.sha256:
        weights_hash(model, file_hash)  # before anything else of the file is read
    if model.pretrained:
        return _pretrained(model, path).eval()
    module = skeleton(model)
    fill(module, read_state(path), path)
    return module.eval()


def skeleton(model: ModelRef) -> torch.nn.Module:
    """Return `model` as it is before its weights are read; under ``with torch.device("meta")`` it takes no memory.

    Raises
    ------
    ModelError
        If its architecture or factory is unknown, refuses its arguments, or makes something that gives no embeddings.
    """
    return _make(model)


def _pretrained(model: ModelRef, path: Path) -> torch.nn.Module:
    """Let timm load its own weights from `path`: they may need the changes it makes to foreign checkpoints on the way."""
    own, asked = timm_config(model.architecture or "").get("num_classes"), model.arguments.get("num_classes")
    if asked and asked != own:
        raise ModelError(
            f"{model.name}: num_classes {asked} would give it a head of random weights, since its own has {own} classes; leave "
            "num_classes out, or set it to 0 for no head."
        )
    try:
        return _make(model, pretrained=True, pretrained_cfg_overlay={"file": str(path), "custom_load": False})
    except ModelError:
        read_state(path)  # says it better where the file itself is the trouble
        raise


def _make(model: ModelRef, **loading: Any) -> torch.nn.Module:
    arguments = dict(model.arguments)
    made_by: Callable[..., object]
    if model.factory is not None:
        made_by, where = load_factory(model.factory), f"factory {model.factory}"
    elif model.architecture is not None:
        check_architecture(model.architecture)
        made_by, where = timm.create_model, f"architecture {model.architecture}"
        arguments = {"model_name": model.architecture, **_with_size(model)} | loading
    else:
        raise ModelError(f"{model.name}: has neither an architecture nor a factory; give one.")
    try:
        module = made_by(**arguments)
    except Exception as error:  # the code of others, and any of it
        raise ModelError(f"{model.name}: {where} {_why_not_made(error, made_by)}") from error
    return _giving_embeddings(module, f"{model.name}: {where}")


def _with_size(model: ModelRef) -> dict[str, Any]:
    """Return the arguments, with the image size for architectures that are built for one."""
    size, config = model.preprocessing.input_size, timm_config(model.architecture or "")
    if size is None or SIZE_ARGUMENTS & model.arguments.keys() or not config.get("fixed_input_size"):
        return model.arguments
    return {**model.arguments, "img_size": size}


def _why_not_made(error: Exception, made_by: Callable[..., object]) -> str:
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error)) if isinstance(error, TypeError) else None
    if unknown is None:
        return f"cannot be built: {type(error).__name__}: {' '.join(str(error).split())[:400]}"
    own = [name for name, p in inspect.signature(made_by).parameters.items() if p.kind is not p.VAR_KEYWORD]
    known = ARGUMENTS if made_by is timm.create_model else own
    return f"does not take the argument {unknown[1]!r}{did_you_mean(unknown[1], known)}"


def _giving_embeddings(module: object, where: str) -> torch.nn.Module:
    """Return `module` if embeddings can be taken from it."""
    if not isinstance(module, torch.nn.Module):
        raise ModelError(f"{where} returned a {type(module).__name__}, not a torch.nn.Module.")
    missing = [name for name in ("forward_features", "forward_head") if not callable(getattr(module, name, None))]
    if missing:
        raise ModelError(
            f"{where} made a {type(module).__name__} without {' and '.join(missing)}. Embeddings are taken as timm's models "
            "give them: forward_head(forward_features(images), pre_logits=True) must return [images, width]."
        )
    head: Any = module.forward_head
    if not any(p.name == "pre_logits" or p.kind is p.VAR_KEYWORD for p in inspect.signature(head).parameters.values()):
        raise ModelError(f"{where} made a {type(module).__name__} whose forward_head does not take `pre_logits`; it must.")
    return module
