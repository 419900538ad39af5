"""Import of timm, after patching torchvision if necessary. All other modules import timm from here."""

from itm.core.torchvision_gate import import_torchvision, is_torchvision_patched

import_torchvision()

import timm  # noqa: E402
import timm.data  # noqa: E402
import timm.models  # noqa: E402

__all__ = ["import_torchvision", "is_torchvision_patched", "timm"]
