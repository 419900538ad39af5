"""The identity of stored embeddings: everything that can change them. Its content key names the feature file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter, ValidationError

from itm.core.errors import StoreError
from itm.core.keys import content_key
from itm.core.types import Subset

EXTRACTOR = 2  # raise it when a change of this package changes embeddings
PACKAGES = ("pillow", "timm", "torch", "torchvision")


@dataclass(frozen=True)
class Identity:
    """What embeddings were computed from.

    `architecture`, `factory`, `arguments`, `input_size` and `block` are those of the model. `weights` and `data` are hashes.
    """

    model: str
    architecture: str | None
    factory: Mapping[str, str] | None
    arguments: Mapping[str, Any]
    input_size: int | tuple[int, int] | None
    weights: str
    preprocessing: Mapping[str, Any]
    extractor: int
    precision: str
    device: str
    data: str
    splits: tuple[str, ...]
    packages: Mapping[str, str]
    pooling: str = "forward_head(pre_logits=True)"
    weights_key: str | None = None
    block: int | None = None
    patches: Mapping[str, int] | None = None  # how patches are chosen and labelled, where rows are patches
    library: Mapping[str, Any] | None = None  # of a model that is not of timm: its name there, version and configuration
    subset: Subset | None = None

    @property
    def key(self) -> str:
        later = {"weights_key", "block", "library", "patches", "subset"}  # keys from before they existed stay valid
        return content_key({name: value for name, value in asdict(self).items() if name not in later or value is not None})

    @classmethod
    def read(cls, stored: Any) -> "Identity":
        """Return the identity that a feature file stores, or raise a `StoreError` if another version wrote it."""
        try:
            return TypeAdapter(cls).validate_python(stored)
        except ValidationError as error:
            raise StoreError(f"the stored identity is from another version ({error.error_count()} fields differ).") from error


@cache
def package_versions(names: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Return the installed version of each package."""
    return {name: version(name) for name in names}
