"""Names of weights of EfficientNet-PyTorch and its descendants, in the names of timm."""

import re

from itm.core.errors import ModelError
from itm.zoo.weight_sets import Tensors

BLOCK = re.compile(r"_blocks\.(\d+)\.(.+)")
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
EXPANDED = {  # a block with an expansion
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def to_timm_names(tensors: Tensors, depths: list[int]) -> Tensors:
    """Return weights under the names of timm. `depths` is the number of blocks per stage.

    Raises
    ------
    ModelError
        If a name is not one of EfficientNet-PyTorch, or the number of blocks differs.
    """
    places = [f"blocks.{stage}.{block}" for stage, depth in enumerate(depths) for block in range(depth)]
    expanded = {match[1] for name in tensors if (match := BLOCK.match(name)) and match[2].startswith("_expand_conv.")}
    found: Tensors = {}
    for name, tensor in tensors.items():
        match = BLOCK.match(name)
        layer, _, parameter = (match[2] if match else name).rpartition(".")
        known = OUTSIDE if not match else EXPANDED if match[1] in expanded else PLAIN
        if layer not in known or (match and int(match[1]) >= len(places)):
            raise ModelError(
                f"{name} is not a weight of EfficientNet-PyTorch with {len(places)} blocks; the file is of another model."
            )
        prefix = f"{places[int(match[1])]}." if match else ""
        found[f"{prefix}{known[layer]}.{parameter}"] = tensor
    return found
