"""What each protocol trains of a backbone beside the head, and how much higher its learning rates are."""

from torch import nn

from itm.core.errors import ModelError
from itm.core.types import Protocol
from itm.finetuning.lora import linear_layers

RATE_FACTORS: dict[Protocol, float] = {"full": 1.0, "lora": 10.0, "norm": 10.0, "last_block": 3.0}  # all that take steps


def trained_parameters(backbone: nn.Module, protocol: Protocol, title: str) -> set[str]:
    """Return the names of the parameters of a backbone that a protocol trains.

    `lora` trains none of them, because its adapters are parameters of their own.

    Raises
    ------
    ModelError
        If the backbone has nothing that the protocol trains.
    """
    if protocol == "lora":
        if not linear_layers(backbone):
            raise ModelError(f"{title}: the blocks of this model have no linear layers for lora; use --protocol norm.")
        return set()
    names = {name for name, _ in backbone.named_parameters()}
    if protocol == "norm":
        names = {name for name in names if name.endswith("bias")} | _of_normalisation(backbone)
    if protocol == "last_block":
        names = _from_last_block(backbone)
    if not names:
        raise ModelError(f"{title}: this model has nothing that protocol {protocol} trains; use --protocol full.")
    return names


def _of_normalisation(backbone: nn.Module) -> set[str]:
    """Return the names of the affine parameters of all normalisation layers."""
    return {
        f"{place}.{name}".strip(".")
        for place, module in backbone.named_modules()
        if "norm" in type(module).__name__.lower()
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.ndim <= 1 or isinstance(module, nn.LayerNorm | nn.RMSNorm)
    }


def _from_last_block(backbone: nn.Module) -> set[str]:
    """Return the names of the parameters of the last stage, and of all layers after it.

    The stages are those of timm's `feature_info`. Some models list a layer without weights last, so stages count from the last
    one that has some. Without stages, it is the last child with weights.
    """
    modules, order = dict(backbone.named_modules()), [name for name, _ in backbone.named_parameters()]
    places = list(modules)
    stages = [str(one["module"]) for one in getattr(backbone, "feature_info", None) or () if isinstance(one, dict)]
    for stage in reversed([name for name in stages if name in modules]):
        later = places[places.index(stage) :]
        found = {name for name in order if name.rpartition(".")[0] in later}
        if any(parameter.ndim > 1 for name, parameter in backbone.named_parameters() if name in found):
            return found
    prefix, module = "", backbone
    while children := [(name, child) for name, child in module.named_children() if any(True for _ in child.parameters())]:
        name, module = children[-1]
        prefix += f"{name}."
        if len(children) > 1:
            break
    return {name for name in order if name.startswith(prefix)}
