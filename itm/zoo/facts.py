"""What is known of a model without data: how it wants its images, how large and how costly it is, where it comes from."""

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from itm.core.errors import ModelError
from itm.core.types import Facts, Failure, ModelRef
from itm.zoo.load import skeleton
from itm.zoo.resolve import matches, timm_model
from itm.zoo.timm_import import timm
from itm.zoo.timm_names import check_architecture, timm_config, timm_names
from itm.zoo.zoo_file import Zoo, read_zoo_file

log = logging.getLogger(__name__)
timm_data: Any = timm.data  # its own type hints do not say what it exports


def preprocessing(model: ModelRef, module: torch.nn.Module) -> dict[str, Any]:
    """Return how `model` wants its images, in plain values: timm's word on `module`, overlaid with the model's own."""
    return _plain(model, getattr(module, "pretrained_cfg", None) or {})


def preprocessing_without_weights(model: ModelRef) -> dict[str, Any]:
    """Return what `preprocessing` returns, but without weights: from timm's registry, or a custom factory's bare module.

    Raises
    ------
    ModelError
        If the model cannot be built even without weights.
    """
    if model.factory is None and model.architecture is not None:
        check_architecture(model.architecture)
        return _plain(model, timm_config(model.architecture))
    return preprocessing(model, without_weights(model))


def transform(config: dict[str, Any]) -> Callable[[Image.Image], torch.Tensor]:
    """Return the function that turns an image into a model's input [3, height, width], as `preprocessing` says."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    made: Callable[[Image.Image], torch.Tensor] = timm_data.create_transform(**values, is_training=False)
    return made


def facts(model: ModelRef, module: torch.nn.Module, config: dict[str, Any]) -> Facts:
    """Return what is known of `model`. Only the shapes of `module` count, so it may come from `without_weights`.

    GMACs are multiply-adds of one image up to its embedding, half the operations that torch counts, without the classifier,
    which fine-tuning replaces. They are counted on the meta device where that works, so no machine's kernels change them.

    Raises
    ------
    ModelError
        If the model gives no embedding [1, width] for an image of its input size.
    """
    width, gmacs = _measure(model, module, config["input_size"])
    return Facts(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        gmacs=gmacs,
        width=width,
        input_size=config["input_size"][-1],
        family=model.family or _family(model, module),
        pretraining=model.pretraining or _pretraining(model),
    )


def without_weights(model: ModelRef) -> torch.nn.Module:
    """Return `model` without weights, on the meta device if its code allows that, ready for evaluation.

    Raises
    ------
    ModelError
        If it cannot be built.
    """
    try:
        with torch.device("meta"):
            return skeleton(model).eval()
    except ModelError:
        return skeleton(model).eval()  # code that reads its own numbers cannot run on meta; anything else fails again, in clear


def list_models(pattern: str, zoo_file: Path | None, code: Iterable[Path] = ()) -> Iterator[tuple[str, Facts | Failure]]:
    """Yield name and facts of the zoo file's and timm's models that match, one at a time and without weights.

    Factories run to be measured, so those outside the paths `code` are failures.

    Raises
    ------
    ParamsError
        If the zoo file cannot be read.
    ModelError
        If nothing matches.
    """
    known = Zoo() if zoo_file is None else read_zoo_file(zoo_file, code)
    broken = known.nameless | known.broken
    own = matches(pattern, [*known.models, *broken])
    for name in own:
        yield name, _failure(name, broken[name]) if name in broken else _facts_or_failure(known.models[name])
    try:
        others = timm_names(pattern)
    except ModelError:
        if not own:
            raise
        return
    for name in others:
        if name not in own:
            yield name, _facts_or_failure(timm_model(name))


def _facts_or_failure(model: ModelRef) -> Facts | Failure:
    try:
        module = without_weights(model)
        return facts(model, module, preprocessing(model, module))
    except ModelError as error:
        return _failure(model.name, str(error))


def _failure(name: str, reason: str) -> Failure:
    return Failure(data="", model=name, step="zoo", reason=reason)


def _plain(model: ModelRef, config: dict[str, Any]) -> dict[str, Any]:
    own = model.preprocessing
    size = own.input_size or model.arguments.get("img_size")
    asked = {
        "input_size": (3, size, size) if isinstance(size, int) else None,
        "mean": own.mean,
        "std": own.std,
        "crop_pct": own.crop,
        "interpolation": own.interpolation,
    }
    resolved: dict[str, Any] = timm_data.resolve_data_config(asked, pretrained_cfg=config)
    return {k: [*v] if isinstance(v, tuple) else v for k, v in resolved.items()}


def _measure(model: ModelRef, module: torch.nn.Module, size: list[int]) -> tuple[int, float | None]:
    """Return width and GMACs from one pass over shapes alone, over numbers where that fails, uncounted where that fails too."""
    try:
        return _pass(without_weights(model), size)
    except Exception as error:
        log.debug("%s cannot be measured on the meta device: %s", model.name, error)
    if any(parameter.is_meta for parameter in module.parameters()):
        module = skeleton(model).eval()
    try:
        return _pass(module, size)
    except Exception as error:
        log.debug("%s cannot be counted: %s", model.name, error)
    try:
        return _width(module, size), None
    except Exception as error:
        raise ModelError(
            f"{model.name}: gives no embedding for an image of {size[-1]} pixels: {type(error).__name__}: {error}. Check "
            "`input_size` and `arguments`."
        ) from error


class _Operations(TorchDispatchMode):
    """Counts floating-point operations by torch's own formulas.

    torch's FlopCounterMode does the same and more: it also watches every module of the process, so it would disturb the
    models that other threads run at that moment.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(func._overloadpacket)
        if formula is None:  # perhaps made of operations that have one, as linear is of addmm
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if formula is not None:
            self.count += formula(*args, **kwargs, out_val=result)
        return result


def _pass(module: torch.nn.Module, size: list[int]) -> tuple[int, float]:
    with _Operations() as operations:
        width = _width(module, size)
    return width, operations.count / 2 / 1e9


def _width(module: Any, size: list[int]) -> int:
    parameter = next(module.parameters(), torch.empty(0))
    with torch.inference_mode():
        image = torch.zeros(1, *size, device=parameter.device, dtype=parameter.dtype)
        embedding = module.forward_head(module.forward_features(image), pre_logits=True)
    if not isinstance(embedding, torch.Tensor) or embedding.ndim != 2:
        found = list(embedding.shape) if isinstance(embedding, torch.Tensor) else type(embedding).__name__
        raise ModelError(f"forward_head(..., pre_logits=True) returned {found}, not [images, width]")
    return embedding.shape[1]


def _family(model: ModelRef, module: torch.nn.Module) -> str:
    """Return the timm module that the architecture comes from; a class of other origin is its own family."""
    made_in = type(module).__module__
    if model.architecture is not None:
        made_in = timm.models.model_entrypoint(model.architecture).__module__
    return made_in.rpartition(".")[2] if made_in.startswith("timm.") else type(module).__name__


def _pretraining(model: ModelRef) -> str:
    """Return timm's tag in words; it says nothing of anybody else's weights."""
    tag = (model.architecture or "").partition(".")[2]
    return tag.replace("_", " ") if model.pretrained else ""
