"""Preprocessing values of a zoo file. A value on another scale is refused with its conversion."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

SMALLEST_STD = 0.0035  # 1/255 is the std of a model that takes pixels from 0 to 255
CHANNELS = (1, 3)


def check_channels(channels: Any, mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> None:
    """Raise a `ValueError` unless images can have so many channels, with this mean and std."""
    if channels not in CHANNELS:
        raise ValueError(f"in_chans is {channels}; images have 3 channels (RGB) or 1 (grey), so other models are not supported")
    for word, values in (("mean", mean), ("std", std)):
        if values and len(values) not in (1, channels):
            raise ValueError(f"{word} has {len(values)} numbers, but the model takes {channels} channel; give one number")


def _numbers(value: Any) -> Any:
    return (value,) if isinstance(value, int | float) else value


def _check_length(values: tuple[float, ...]) -> None:
    if len(values) not in CHANNELS:
        raise ValueError("must be one number, or three for red, green and blue")


def _divided(values: tuple[float, ...]) -> str:
    return f"[{', '.join(f'{value / 255:.4g}' for value in values)}]"


def _mean(values: tuple[float, ...]) -> tuple[float, ...]:
    _check_length(values)
    if max(values) > 1:
        raise ValueError(
            f"is above 1, but pixels are between 0 and 1; divide mean and std by 255, which gives the mean {_divided(values)}"
        )
    if min(values) < 0:
        raise ValueError("is negative, but pixels are between 0 and 1, and the mean is subtracted from them; check its sign")
    return values


def _std(values: tuple[float, ...]) -> tuple[float, ...]:
    _check_length(values)
    if max(values) > 1:
        raise ValueError(f"is above 1, but pixels are between 0 and 1; divide by 255, which gives {_divided(values)}")
    if min(values) < SMALLEST_STD:
        raise ValueError("is below 1/255, which is the std for pixels from 0 to 255; is it divided by 255 twice?")
    return values


def _crop(value: Any) -> Any:
    text = value.strip() if isinstance(value, str) else ""
    if text.endswith("%"):
        raise ValueError("is a share of the image without '%'; 87.5 % is 0.875")
    if isinstance(value, bool):
        raise ValueError("must be a number")
    if isinstance(value, int | float) and 1 < value <= 100:
        raise ValueError(f"is a share of the image, at most 1; {value:g} % is {value / 100:g}")
    if isinstance(value, int | float) and value > 100:
        raise ValueError("is a share of the image, at most 1, such as 0.875; pixels are given as `input_size`")
    return value


def input_size(value: Any) -> int | tuple[int, ...]:
    """Return a size in pixels: the side of a square, or height and width. Raise a `ValueError` for anything else."""
    sides = value if isinstance(value, list | tuple) else [value]
    if len(sides) == 3:
        raise ValueError(f"is height and width, such as {sides[1:]}; channels are given as `arguments: {{in_chans: ...}}`")
    try:
        pixels = [int(side) for side in sides]
        valid = all(side >= 1 for side in pixels) and pixels == [float(side) for side in sides]
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid or len(sides) not in (1, 2):
        raise ValueError("must be a number of pixels, or height and width such as [96, 48]")
    return pixels[0] if len(set(pixels)) == 1 else tuple(pixels)


_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Mean = Annotated[tuple[_Finite, ...], BeforeValidator(_numbers), AfterValidator(_mean)]
Std = Annotated[tuple[_Positive, ...], BeforeValidator(_numbers), AfterValidator(_std)]
Crop = Annotated[float, Field(gt=0, le=1), BeforeValidator(_crop)]
InputSize = Annotated[int | tuple[int, int], BeforeValidator(input_size)]
