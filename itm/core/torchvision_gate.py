"""Import of torchvision, after patching it if necessary. All other modules import torchvision from here.

A CUDA build of torchvision cannot load its operators next to a CPU build of torch. `import torchvision` then fails, because it
registers implementations of operators that are not defined. Defining these two operators is enough for the transforms and
loaders that timm uses. `torchvision.ops.nms` stays unusable; nothing here calls it. A working torchvision is not patched.
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
_libraries: list[torch.library.Library] = []  # keeps them alive: garbage collection would remove the schemas


def import_torchvision() -> ModuleType:
    """Import torchvision. Define its missing operators if a CUDA build meets a CPU build of torch."""
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
    _libraries.append(library)
    return importlib.import_module("torchvision")


def is_torchvision_patched() -> bool:
    return bool(_libraries)
