"""Data sets: from a source such as `folder:petals` to an index of checked images, each with a class and a split.

The names below are imported when first used, so that worker processes which only open images load Pillow and NumPy alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from itm.data.grammar import name_of
    from itm.data.index import read_index
    from itm.data.ingestion import ingest
    from itm.data.several import check_names, ingest_all

__all__ = ["check_names", "ingest", "ingest_all", "name_of", "read_index"]
_HOLDERS = {
    "check_names": "itm.data.several",
    "ingest": "itm.data.ingestion",
    "ingest_all": "itm.data.several",
    "name_of": "itm.data.grammar",
    "read_index": "itm.data.index",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that holds it."""
    if name not in _HOLDERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOLDERS[name]), name)
