"""What the values of masks mean: which are classes, with which names, and which are ignored."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from itm.core.keys import content_key
from itm.core.text import join_names, pluralize
from itm.kinds.mask_target import PATCHES

USUALLY_IGNORED = 255
MOST_VALUES = 5  # in a message


@dataclass(frozen=True)
class Legend:
    """The names of classes by value, and the ignored values.

    Without names, every value that is not ignored is a class named by its number. At most `patches` of each image are used.
    """

    names: tuple[tuple[int, str], ...] = ()
    ignored: frozenset[int] = frozenset({USUALLY_IGNORED})
    patches: int = PATCHES

    @cached_property
    def by_value(self) -> Mapping[int, str]:
        return dict(self.names)

    @property
    def key(self) -> str:
        """Return a key that is equal for legends that read all masks alike."""
        return content_key([self.names, sorted(self.ignored), self.patches])

    @property
    def note(self) -> str:
        """Return in words how masks are read."""
        ignored = join_names([str(value) for value in sorted(self.ignored)], MOST_VALUES) or "nothing"
        named = pluralize(len(self.names), "named class") if self.names else "each value is a class"
        return f"reading masks for segmentation: {named}, ignored: {ignored}"

    def describe(self, values: list[int]) -> str:
        """Return values without a name, and those that have one, in words."""
        unknown, known = (join_names(list(map(str, numbers)), MOST_VALUES) for numbers in (values, sorted(self.by_value)))
        return f"{unknown}, and only {known} are classes"
