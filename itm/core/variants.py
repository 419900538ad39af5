"""Variants of a model: other pixels, fewer blocks or another pooling. Their names are `MODEL@VARIANT`."""

import re
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator

from itm.core.errors import ModelError, did_you_mean
from itm.core.types import ModelRef

Pooling = Literal["token", "mean", "token+mean"]
POOLINGS: tuple[Pooling, ...] = ("token", "mean", "token+mean")
SEPARATOR = "@"
SOURCE, TIMM = re.compile("[:/]"), re.compile("timm[:/]", re.IGNORECASE)
MOST_PIXELS = 4096  # more is a mistake, and would ask for more memory than there is
FORMS = "token, mean, token+mean, blockN such as block8, or pixels such as 288 or 96x48"


@dataclass(frozen=True)
class Variant:
    """How a variant differs from the plain model.

    `pixels` is the side of the input, or height and width. `block` is the last block that is computed, counted from 1; of a
    convolutional network, it is a level of timm's `feature_info`. `pooling` is how the positions become one embedding.
    """

    pixels: int | tuple[int, int] | None = None
    block: int | None = None
    pooling: Pooling | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the variant of a text such as "288" or "block8@mean".

        Raises
        ------
        ModelError
            If a part is not known, or two parts say the same kind of thing.
        """
        found: dict[str, object] = {}
        for part in text.split(SEPARATOR):
            name, value = _part(part)
            if name in found:
                raise ModelError(f"{text!r} names two values for {name}; give one.")
            found[name] = value
        return cls(**found)  # type: ignore[arg-type]

    def __str__(self) -> str:
        pixels = "x".join(map(str, self.pixels)) if isinstance(self.pixels, tuple) else self.pixels
        parts = (pixels, self.block and f"block{self.block}", self.pooling)
        return SEPARATOR.join(str(part) for part in parts if part)

    def of(self, model: ModelRef) -> ModelRef:
        """Return the candidate `MODEL@VARIANT`."""
        changed = replace(model, name=f"{model.name}{SEPARATOR}{self}", block=self.block, pooling=self.pooling)
        if self.pixels is None:
            return changed
        pixels = [*self.pixels] if isinstance(self.pixels, tuple) else self.pixels
        own = {"img_size": pixels} if "img_size" in model.arguments else {}
        size = replace(model.preprocessing, input_size=self.pixels)
        return replace(changed, arguments=model.arguments | own, preprocessing=size)


def split_variant(name: str) -> tuple[str, str]:
    """Return the name of the model and the text of the variant; the text is empty where there is none.

    Names with a source, such as ``hf-hub:USER/REPO@REVISION``, can contain the separator. Of these, only last parts that are
    variants are split off.

    >>> split_variant("resnet18@288"), split_variant("hf-hub:me/repo@v1@288"), split_variant("local-dir:/v@2/model")
    (('resnet18', '288'), ('hf-hub:me/repo@v1', '288'), ('local-dir:/v@2/model', ''))
    """
    model, *parts = name.split(SEPARATOR)
    if TIMM.match(name) or not SOURCE.search(name):
        return model, SEPARATOR.join(parts)
    variant: list[str] = []
    while parts and _is_variant(parts[-1]):
        variant.insert(0, parts.pop())
    return SEPARATOR.join([model, *parts]), SEPARATOR.join(variant)


def _is_variant(part: str) -> bool:
    try:
        _part(part)
    except ModelError:
        return False
    return True


def _text(value: Any) -> Any:
    """Return a number of pixels, as YAML reads it, as text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check(text: str) -> str:
    try:
        Variant.parse(text)
    except ModelError as error:
        raise ValueError(str(error).rstrip(".")) from error
    return text


def as_list(value: Any) -> Any:
    """Return a single value as a list, and nothing as an empty one."""
    return [] if value is None else value if isinstance(value, list | tuple) else [value]


VariantText = Annotated[str, BeforeValidator(_text), AfterValidator(_check)]


def _part(part: str) -> tuple[str, object]:
    if part in POOLINGS:
        return "pooling", part
    if match := re.fullmatch(r"block([1-9]\d{0,3})", part):
        return "block", int(match[1])
    if match := re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", part):
        height, width = int(match[1]), int(match[2] or match[1])
        if max(height, width) > MOST_PIXELS:
            raise ModelError(f"{part!r} is too large; the side of an input has at most {MOST_PIXELS:,} pixels.")
        return "pixels", height if height == width else (height, width)
    near = did_you_mean(part, POOLINGS) if part else "."
    raise ModelError(f"{part!r} is not a variant of a model; give {FORMS}{near}")
