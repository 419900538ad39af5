"""Draw images of several figures of different classes on a ground, with the mask of each image."""

import colorsys
from collections.abc import Iterator
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from itm.data.sources.drawing import MASKED_CLASSES, OVERSAMPLE, SHAPES, SyntheticSet, finish

FAMILY_SEED = 3  # numbers below are those of other families
FEWEST, MOST = 2, 4  # figures per image


def draw_masked(drawn: SyntheticSet) -> Iterator[tuple[Image.Image, Image.Image]]:
    """Yield RGB images and their masks of class numbers. Figures of an image have different classes, and later ones cover.

    Each class has a hue of its own, which varies more with higher difficulty.
    """
    for number in range(drawn.images):
        yield _draw(np.random.default_rng([drawn.seed, FAMILY_SEED, number]), drawn)


def _draw(rng: np.random.Generator, drawn: SyntheticSet) -> tuple[Image.Image, Image.Image]:
    side = drawn.size * OVERSAMPLE
    ground = _colour(rng.uniform(), rng.uniform(0, 0.2), rng.uniform(0.3, 0.8))
    canvas, mask = Image.new("RGB", (side, side), ground), Image.new("L", (side, side), 0)
    pen, mask_pen = ImageDraw.Draw(canvas), ImageDraw.Draw(mask)
    for label in rng.permutation(len(MASKED_CLASSES) - 1)[: rng.integers(FEWEST, MOST + 1)] + 1:
        hue = (label / len(MASKED_CLASSES) + 0.25 * drawn.difficulty * rng.normal()) % 1
        ink = _colour(hue, rng.uniform(0.4, 0.9), rng.uniform(0.4, 1))
        radius, turn = side * rng.uniform(0.14, 0.26), rng.uniform(0, 2 * pi)
        centre = rng.uniform(radius, side - radius, 2)
        rotation = np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
        for part in SHAPES[MASKED_CLASSES[label]]:
            points = [tuple(p) for p in np.array(part) @ rotation.T * radius + centre]
            pen.polygon(points, fill=ink)
            mask_pen.polygon(points, fill=int(label))
    image = finish(np.asarray(canvas, dtype=float), rng, drawn)
    return image, mask.resize((drawn.size, drawn.size), Image.Resampling.NEAREST)


def _colour(hue: float, saturation: float, value: float) -> tuple[int, ...]:
    """Return an RGB colour from 0 to 255 of numbers from 0 to 1."""
    return tuple(int(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
