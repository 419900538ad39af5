"""Build a module from a `ModelRef` and load its weights strictly."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from itm.core.errors import ModelError
from itm.core.keys import file_hash
from itm.core.types import ModelRef
from itm.store.hash_cache import cached_hash
from itm.zoo.construct import build_without_weights, head_modules
from itm.zoo.factory import factory_file
from itm.zoo.fill import Rules, fill
from itm.zoo.hub import pretrained_file, weights_source
from itm.zoo.libraries import find_library
from itm.zoo.libraries.base import Library
from itm.zoo.state import required
from itm.zoo.timm_load import Conversion
from itm.zoo.timm_names import timm_config
from itm.zoo.variant_module import as_variant
from itm.zoo.weight_sets import Tensors


def weights_file(model: ModelRef) -> Path:
    """Return the local weight file of `model`. Missing timm weights are downloaded if the network is allowed.

    Raises
    ------
    ModelError
        If there is no such file. The message says how to get it.
    """
    source = weights_source(model)
    if model.checkpoint is None and not source:
        raise ModelError(f"{model.name}: has no weights; give a `checkpoint`, or `pretrained: true` with a timm architecture.")
    path = model.checkpoint or pretrained_file(source)
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
    library = find_library(model.architecture)
    found = {
        "architecture": library.scheme if library else model.architecture,
        "factory": factory,
        "arguments": model.arguments,
        "input_size": model.preprocessing.input_size,
    } | {word: value for word in ("weights_key", "block", "pooling") if (value := getattr(model, word))}
    return found | ({"library": library.identity(model.architecture or "")} if library else {})


def build(model: ModelRef) -> torch.nn.Module:
    """Build `model` in evaluation mode and load its weights strictly."""
    return as_variant(model, build_plain(model))


def build_plain(model: ModelRef) -> torch.nn.Module:
    """Build the plain model of `model`: with all blocks and its own pooling."""
    path = weights_file(model)
    if model.sha256:
        weights_hash(model, file_hash)  # before the file is parsed
    if library := find_library(model.architecture):
        return _of_library(library, model, path).eval()
    if model.pretrained:
        return _pretrained(model, path).eval()
    module = build_without_weights(model)
    rules = Rules() if model.factory else Rules(partial(_filtered, model, module))
    fill(model.name, module, path, model.weights_key, rules)
    if model.factory:
        _check_repeatable(model, module)
    return module.eval()


def _pretrained(model: ModelRef, path: Path) -> torch.nn.Module:
    """Load weights as timm does, which converts them to other image sizes and channels."""
    trained, wanted = timm_config(model.architecture or "").get("num_classes"), model.arguments.get("num_classes")
    if wanted and wanted != trained and model.checkpoint is None:
        raise ModelError(
            f"{model.name}: num_classes {wanted} would create a head with random weights, because the pre-trained head has "
            f"{trained} classes; leave num_classes out, or set it to 0 for no head."
        )
    conversion = Conversion()
    own_head = {"pretrained_cfg_overlay": {"num_classes": wanted}} if wanted else {}
    module = build_without_weights(model, partial(conversion.build, **own_head))
    rules = Rules(conversion.converted, always_convert=True, unused=frozenset() if wanted != 0 else head_modules(model))
    if not conversion.is_strict and model.checkpoint is None:
        # timm's files of these architectures may lack layers, such as a last norm, which then stay at their constant start
        rules.defaults = {name: own.clone() for name, own in required(module).items() if own.unique().numel() == 1}
    fill(model.name, module, path, model.weights_key, rules)
    return module


def _of_library(library: Library, model: ModelRef, path: Path) -> torch.nn.Module:
    """Load weights as the library names them, then give the model the interface of timm."""
    module = library.build(model.architecture or "", model.arguments)
    fill(model.name, module, path, model.weights_key, Rules(partial(library.converted, module), unused=library.unused))
    return library.embedder(module)


def _filtered(model: ModelRef, module: torch.nn.Module, tensors: Tensors) -> Tensors:
    """Return weights of another version of timm as its filter for this architecture converts them."""
    conversion = Conversion()
    with torch.device("meta"):
        build_without_weights(model, conversion.build)
    return conversion.filtered(module, tensors)


def _check_repeatable(model: ModelRef, module: torch.nn.Module) -> None:
    """Raise a `ModelError` if the module has tensors that are neither in the weight file nor the same in another build."""
    computed = _computed(module)
    again = _computed(build_without_weights(model)) if computed else {}
    for name, tensor in computed.items():
        other = again.get(name)
        if other is None or other.shape != tensor.shape or not torch.equal(other.cpu().nan_to_num(), tensor.cpu().nan_to_num()):
            raise ModelError(
                f"{model.name}: {name} of the factory is random and not in the weight file, so every run would give other "
                "embeddings; make it a parameter or a persistent buffer and save the weights again, or compute it without "
                "random numbers."
            )


def _computed(module: torch.nn.Module) -> Tensors:
    """Return the tensors of a module that are not in its state: buffers that are not persistent, and plain attributes."""
    stored = module.state_dict()
    found = {name: buffer for name, buffer in module.named_buffers() if name not in stored}
    for place, part in module.named_modules():
        found |= {f"{place}.{name}".strip("."): v for name, v in vars(part).items() if isinstance(v, torch.Tensor)}
    return found
