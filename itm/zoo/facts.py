"""Properties of a model that do not depend on data: preprocessing, size, cost and origin."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from itm.core.errors import ModelError
from itm.core.types import Facts, ModelRef
from itm.zoo.construct import build_on_meta, build_without_weights
from itm.zoo.libraries import find_library
from itm.zoo.libraries.base import Embedder
from itm.zoo.timm_gate import import_torchvision, timm
from itm.zoo.timm_names import check_architecture, timm_config
from itm.zoo.units import check_channels, input_size
from itm.zoo.variant_module import as_variant, plain

BatchNorm = torch.nn.modules.batchnorm._BatchNorm

log = logging.getLogger(__name__)
timm_data: Any = timm.data  # its type hints do not declare its exports
transforms: Any = import_torchvision().transforms


def preprocessing(model: ModelRef, module: torch.nn.Module) -> dict[str, Any]:
    """Return the preprocessing of `model` as plain values: timm's configuration of `module`, updated by that of the model."""
    if library := find_library(model.architecture):
        return _plain(model, library.settings(model.architecture or "").preprocessing)
    module = plain(module)
    own_channels = getattr(module, "in_chans", None) if model.factory else None
    return _plain(model, getattr(module, "pretrained_cfg", None) or {}, own_channels)


def preprocessing_without_weights(model: ModelRef) -> dict[str, Any]:
    """Return `preprocessing` without reading weights. A custom model is built without weights."""
    if library := find_library(model.architecture):
        return _plain(model, library.settings(model.architecture or "").preprocessing)
    if model.factory is None and model.architecture is not None:
        check_architecture(model.architecture)
        return _plain(model, timm_config(model.architecture))
    return preprocessing(model, build_on_meta(model))


def create_transform(config: dict[str, Any]) -> Callable[[Image.Image], torch.Tensor]:
    """Return the function that converts an image to a model input [channels, height, width].

    `config` comes from `preprocessing`.
    """
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    created: Any = timm_data.create_transform(**values, is_training=False)
    if config["input_size"][0] == 1:
        created.transforms.insert(0, transforms.Grayscale())
    converted: Callable[[Image.Image], torch.Tensor] = created
    return converted


def facts(model: ModelRef, module: torch.nn.Module, config: dict[str, Any]) -> Facts:
    """Return size, cost and origin of `model`. `module` may be without weights, because only its shapes are used.

    GMACs are the multiply-adds for the embedding of one image, without the classifier, because fine-tuning replaces it. They
    are half the operations that torch counts. If possible they are counted on the meta device, independent of the machine.
    """
    width, gmacs = _measure(model, module, config["input_size"])
    return Facts(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        gmacs=gmacs,
        width=width,
        input_size=_pixels(config["input_size"]),
        family=model.family or _family(model, module),
        pretraining=model.pretraining or _pretraining(model),
        batch_norm=any(isinstance(part, BatchNorm) for part in module.modules()),
    )


def _plain(model: ModelRef, config: dict[str, Any], own_channels: int | None = None) -> dict[str, Any]:
    """Return the preprocessing of `model`. `own_channels` are those that the module of a factory declares as `in_chans`."""
    own = model.preprocessing
    channels, *default_size = config.get("input_size") or (3, 224, 224)
    channels = model.arguments.get("in_chans") or own_channels or channels
    try:
        check_channels(channels, own.mean, own.std)
    except ValueError as error:
        raise ModelError(f"{model.name}: {error}.") from error
    size = own.input_size or _size_argument(model) or default_size
    wanted = {
        "input_size": (channels, *((size, size) if isinstance(size, int) else size)),
        "mean": own.mean,
        "std": own.std,
        "crop_pct": own.crop,
        "interpolation": own.interpolation,
        "crop_mode": own.crop_mode,
    }
    resolved: dict[str, Any] = timm_data.resolve_data_config(wanted, pretrained_cfg=config)
    if channels == 1:
        resolved |= {word: [sum(resolved[word]) / len(resolved[word])] for word in ("mean", "std")}
    return {k: [*v] if isinstance(v, tuple) else v for k, v in resolved.items()}


def _size_argument(model: ModelRef) -> Any:
    """Return the argument `img_size` if it is a size. A factory can mean something else by it."""
    try:
        return input_size(model.arguments["img_size"])
    except (KeyError, ValueError):
        return None


def _pixels(size: list[int]) -> int | str:
    _, height, width = size
    return height if height == width else f"{height} x {width}"


def _measure(model: ModelRef, module: torch.nn.Module, size: list[int]) -> tuple[int, float | None]:
    """Return width and GMACs from one forward pass.

    Try the meta device first, then a real pass, then a pass without counting, where GMACs are None.
    """
    try:
        return _count(module if all(p.is_meta for p in module.parameters()) else build_on_meta(model), size)
    except Exception as error:
        log.debug("%s cannot be measured on the meta device: %s", model.name, error)
    if any(parameter.is_meta for parameter in module.parameters()):
        module = as_variant(model, build_without_weights(model).eval())
    try:
        return _count(module, size)
    except Exception as error:
        log.debug("operations of %s cannot be counted: %s", model.name, error)
    try:
        return _width(module, size), None
    except Exception as error:
        raise ModelError(
            f"{model.name}: returns no embedding for an image of {_pixels(size)} pixels and {size[0]} channels: "
            f"{type(error).__name__}: {error}. Check `input_size` and `arguments`."
        ) from error


class _OperationCounter(TorchDispatchMode):
    """Counter of floating-point operations with the formulas of torch.

    torch's FlopCounterMode also hooks all modules of the process, which would disturb models in other threads.
    """

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(func._overloadpacket)
        if formula is None:  # it may decompose into operations with a formula, like linear into addmm
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if formula is not None:
            self.count += formula(*args, **kwargs, out_val=result)
        return result


def _count(module: torch.nn.Module, size: list[int]) -> tuple[int, float]:
    with _OperationCounter() as counter:  # type: ignore[no-untyped-call]
        width = _width(module, size)
    return width, counter.count / 2 / 1e9


def _width(module: Any, size: list[int]) -> int:
    parameter = next(module.parameters(), torch.empty(0))
    with torch.inference_mode():
        image = torch.zeros(1, *size, device=parameter.device, dtype=parameter.dtype)
        embedding = module.forward_head(module.forward_features(image), pre_logits=True)
    if not isinstance(embedding, torch.Tensor) or embedding.ndim != 2:
        result = list(embedding.shape) if isinstance(embedding, torch.Tensor) else type(embedding).__name__
        raise ModelError(f"forward_head(..., pre_logits=True) returned {result}, not [images, width]")
    return embedding.shape[1]


def _family(model: ModelRef, module: torch.nn.Module) -> str:
    """Return the name of the timm module that defines the architecture, or the class name of a custom model."""
    module = plain(module)
    if isinstance(module, Embedder):
        return type(module.backbone).__name__
    origin = type(module).__module__
    if model.architecture is not None:
        origin = timm.models.model_entrypoint(model.architecture).__module__
    return origin.rpartition(".")[2] if origin.startswith("timm.") else type(module).__name__


def _pretraining(model: ModelRef) -> str:
    """Return the tag of published weights in words. Custom weights have none."""
    if library := find_library(model.architecture):
        return library.settings(model.architecture or "").pretraining.replace("_", " ") if model.pretrained else ""
    tag = (model.architecture or "").partition(".")[2]
    return tag.replace("_", " ") if model.pretrained else ""
