"""Build the module of a `ModelRef` without its weights."""

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from itm.core.errors import ModelError, did_you_mean
from itm.core.types import ModelRef
from itm.zoo.factory import load_factory
from itm.zoo.libraries import find_library
from itm.zoo.libraries.base import Library
from itm.zoo.timm_gate import timm
from itm.zoo.timm_names import check_architecture, timm_config
from itm.zoo.variant_module import as_variant

ARGUMENTS = ("num_classes", "img_size", "patch_size", "global_pool", "in_chans", "drop_rate", "dynamic_img_size")
SIZE_ARGUMENTS = {"img_size", "dynamic_img_size", "strict_img_size"}
Create = Callable[..., Any]


def build_without_weights(model: ModelRef, create_model: Create = timm.create_model) -> torch.nn.Module:
    """Build the plain model of `model` without reading its weights. Under ``with torch.device("meta")`` it needs no memory."""
    arguments = dict(model.arguments)
    library = find_library(model.architecture)
    if model.factory is not None:
        create_model, where = load_factory(model.factory), f"factory {model.factory}"
    elif library is not None and model.architecture is not None:
        create_model, where = partial(build_embedder, library, model.architecture), f"architecture {model.architecture}"
    elif model.architecture is not None:
        check_architecture(model.architecture)
        where = f"architecture {model.architecture}"
        arguments = {"model_name": model.architecture, **create_arguments(model)}
    else:
        raise ModelError(f"{model.name}: has neither an architecture nor a factory; give one.")
    try:
        module = create_model(**arguments)
    except ModelError:
        raise
    except Exception as error:  # custom code can raise anything
        raise ModelError(f"{model.name}: {where} {_build_error(error, create_model, model)}") from error
    return _check_embeddings(module, f"{model.name}: {where}")


def build_embedder(library: Library, name: str, **arguments: Any) -> torch.nn.Module:
    """Build a model of another library than timm, with the interface of timm and random weights."""
    return library.embedder(library.build(name, arguments))


def build_on_meta(model: ModelRef) -> torch.nn.Module:
    """Return `model` in evaluation mode without weights, on the meta device if its code supports it."""
    try:
        with torch.device("meta"):
            module = build_without_weights(model).eval()
    except ModelError:
        # code that reads tensor values cannot run on meta; other errors are raised again
        module = build_without_weights(model).eval()
    return as_variant(model, module)


def head_modules(model: ModelRef) -> frozenset[str]:
    """Return the modules of timm's architecture that `num_classes: 0` leaves out."""
    plain = replace(model, block=None, pooling=None)
    with_head = build_on_meta(replace(plain, arguments={**model.arguments, "num_classes": 2})).state_dict()
    without = build_on_meta(plain).state_dict()
    return frozenset(name.rpartition(".")[0] for name in with_head if name not in without)


def create_arguments(model: ModelRef) -> dict[str, Any]:
    """Return the arguments of `timm.create_model`, with the image size for architectures with a fixed one."""
    size, config = model.preprocessing.input_size, timm_config(model.architecture or "")
    if size is None or SIZE_ARGUMENTS & model.arguments.keys() or not config.get("fixed_input_size"):
        return model.arguments
    return {**model.arguments, "img_size": size}


def _build_error(error: Exception, create_model: Create, model: ModelRef) -> str:
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error)) if isinstance(error, TypeError) else None
    if unknown is None:
        return f"cannot be built: {type(error).__name__}: {' '.join(str(error).split())[:400]}"
    known: Any = ARGUMENTS
    if model.factory is not None:
        known = [name for name, p in inspect.signature(create_model).parameters.items() if p.kind is not p.VAR_KEYWORD]
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
