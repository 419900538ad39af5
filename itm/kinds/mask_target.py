"""The target of an image with a mask: which mask it is, and how many pixels each class has in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from itm.core.errors import DataError

PATCHES = 64  # per image at most, if the source says nothing else


@dataclass(frozen=True)
class MaskTarget:
    """A mask by the SHA-256 of its file, and the classes in it as (value in the mask, name, pixels) in ascending order.

    All other values of the mask are ignored. At most `patches` patches of the image are used.
    """

    id: str
    classes: tuple[tuple[int, str, int], ...]
    patches: int = PATCHES

    @property
    def text(self) -> str:
        """Return the canonical text, as an index has it."""
        content = {"mask": self.id, "classes": self.classes, "patches": self.patches}
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def read(cls, text: str) -> "MaskTarget":
        """Return the target of a canonical text.

        Raises
        ------
        DataError
            If the text is none.
        """
        try:
            found = json.loads(text)
            classes = tuple((int(value), str(name), int(pixels)) for value, name, pixels in found["classes"])
            return cls(str(found["mask"]), classes, int(found["patches"]))
        except (KeyError, TypeError, ValueError):
            raise DataError("no mask") from None

    @property
    def dominant(self) -> str:
        """Return the name of the class with the most pixels; of several, the first."""
        return max(self.classes, key=lambda one: one[2])[1]

    def numbers(self, names: Mapping[str, int]) -> dict[int, int]:
        """Return the class number of each value of the mask that is not ignored, from the numbers of the names."""
        return {value: names[name] for value, name, _ in self.classes}
