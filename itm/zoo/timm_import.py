"""The only door to timm: repairs the torchvision import first, where it has to.

A torchvision wheel built for CUDA cannot load its operator library beside a CPU build of torch. Its Python part then stops at
`import torchvision`, because it describes how operators behave that were never declared. Declaring those two is enough for
everything timm uses (transforms and loaders); `torchvision.ops.nms` itself stays unusable, and nothing here calls it. Where
torchvision loads as it is, nothing is touched.
"""

import importlib
import sys
from types import ModuleType

import torch

MISSING_OPERATOR = "operator torchvision::nms does not exist"
SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []  # a library that is garbage collected takes its schemas along


def import_torchvision() -> ModuleType:
    """Import torchvision, declaring its missing operators where a CUDA wheel meets a CPU build of torch.

    Raises
    ------
    RuntimeError
        Whatever else keeps torchvision from loading.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if MISSING_OPERATOR not in str(error) or torch.version.cuda is not None:
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        library.define(schema)
    _declared.append(library)
    return importlib.import_module("torchvision")


def repaired() -> bool:
    """Say whether the operators had to be declared here."""
    return bool(_declared)


import_torchvision()

import timm  # noqa: E402
import timm.data  # noqa: E402
import timm.models  # noqa: E402

__all__ = ["import_torchvision", "repaired", "timm"]
