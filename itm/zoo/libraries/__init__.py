"""Models of other libraries than timm. The scheme of a name says which: ``torchvision:resnet50``.

Each library is one module, which is imported when a name has its scheme.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from itm.zoo.libraries.base import Library

MODULES = {"torchvision": "torchvision_models", "transformers": "transformers_models", "open_clip": "open_clip_models"}
FOLDER_SCHEMES = frozenset({"transformers", "open_clip"})  # their names can be folders


def scheme_of(name: str) -> str:
    """Return the scheme of a library that a name begins with, or ""."""
    scheme = name.partition(":")[0].lower().replace("-", "_")
    return scheme if scheme in MODULES and ":" in name else ""


def find_library(name: str | None) -> "Library | None":
    """Return the library of a name such as ``torchvision:resnet50``, or None for names of timm.

    Raises
    ------
    MissingExtraError
        If the library is not installed.
    """
    scheme = scheme_of(name or "")
    if not scheme:
        return None
    library: Library = import_module(f"{__name__}.{MODULES[scheme]}").LIBRARY
    library.check_installed()
    return library
