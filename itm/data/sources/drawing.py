"""Draw images of shapes, strokes and textures with adjustable difficulty.

An image depends only on its family, class, number, seed, difficulty and size: the first images of a larger set are the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from itm.core.errors import DataError, did_you_mean

DRAWING = 1  # increase it when the same SyntheticSet draws other pixels: stored images are then drawn again
OVERSAMPLE = 3  # images are drawn larger and averaged, for smooth edges


@dataclass(frozen=True)
class SyntheticSet:
    """What to draw: the family of classes, the number of images, their difficulty and size, and the seed."""

    family: str
    images: int = 900
    difficulty: float = 0.5
    size: int = 48
    seed: int = 0

    def __post_init__(self) -> None:
        if self.family not in (families := (*NUMBERS_OF_CLASSES, *OTHER_FAMILIES)):
            known = ", ".join(sorted(families))
            raise DataError(f"there is no family {self.family!r}{did_you_mean(self.family, families)} Known: {known}.")
        if not 0.0 <= self.difficulty <= 1.0:
            raise DataError(f"difficulty is {self.difficulty}; it must be from 0 (easy) to 1 (hard).")
        if not 8 <= self.size <= 1024:
            raise DataError(f"size is {self.size}; it must be from 8 to 1024 pixels per side.")
        if self.seed < 0:
            raise DataError(f"seed is {self.seed}; it must be 0 or more.")
        if self.family in OTHER_FAMILIES:
            if self.images < OTHER_FAMILIES[self.family]:
                raise DataError(f"images is {self.images}; {self.family} needs at least {OTHER_FAMILIES[self.family]}.")
            return
        classes = NUMBERS_OF_CLASSES[self.family]
        if self.images < 2 * classes:
            raise DataError(
                f"images is {self.images}; {self.family} needs at least two images for each of its {classes} classes."
            )


def draw(drawn: SyntheticSet) -> Iterator[tuple[str, int, Image.Image]]:
    """Yield (class name, number in its class, RGB image), one image of each class in turn."""
    names, paint = FAMILIES[drawn.family]
    for i in range(drawn.images):
        label, number = i % len(names), i // len(names)
        rng = np.random.default_rng([drawn.seed, list(FAMILIES).index(drawn.family), label, number])
        yield names[label], number, paint(names[label], rng, drawn)


def colours(rng: np.random.Generator, difficulty: float) -> tuple[np.ndarray, np.ndarray]:
    """Return two RGB colours; their distance decreases with difficulty."""
    ground = rng.uniform(30, 225, 3)
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    ink = ground + direction * (150 - 90 * difficulty)
    outside = (ink < 0) | (ink > 255)
    ink[outside] = (ground - direction * (150 - 90 * difficulty))[outside]
    return ground, np.clip(ink, 0, 255)


def finish(image: np.ndarray, rng: np.random.Generator, drawn: SyntheticSet) -> Image.Image:
    """Average the image to its final size, and add a light gradient and noise."""
    side = drawn.size
    image = image.reshape(side, OVERSAMPLE, side, OVERSAMPLE, 3).mean((1, 3))
    angle = rng.uniform(0, 2 * pi)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    light = 35 * drawn.difficulty * (np.cos(angle) * x + np.sin(angle) * y)
    noise = rng.normal(scale=4 + 26 * drawn.difficulty, size=image.shape)
    return Image.fromarray(np.clip(image + light[..., None] + noise, 0, 255).astype(np.uint8))


def _polygon(corners: int, depth: float = 1.0) -> list[tuple[float, float]]:
    """Return a regular polygon, or a star whose inner corners have the radius `depth`."""
    count = corners if depth == 1.0 else 2 * corners
    radii = [1.0 if depth == 1.0 or i % 2 == 0 else depth for i in range(count)]
    return [(r * cos(2 * pi * i / count), r * sin(2 * pi * i / count)) for i, r in enumerate(radii)]


def _bar(width: float) -> list[tuple[float, float]]:
    return [(-1, -width), (1, -width), (1, width), (-1, width)]


SHAPES: dict[str, list[list[tuple[float, float]]]] = {
    "arrow": [[(1, 0), (0.1, 0.7), (0.1, 0.25), (-1, 0.25), (-1, -0.25), (0.1, -0.25), (0.1, -0.7)]],
    "bar": [_bar(0.3)],
    "circle": [_polygon(40)],
    "cross": [_bar(0.25), [(-y, x) for x, y in _bar(0.25)]],
    "half": [_polygon(40)[:21]],
    "hexagon": [_polygon(6)],
    "square": [_polygon(4)],
    "star": [_polygon(5, 0.45)],
    "ell": [[(-0.8, -0.8), (-0.3, -0.8), (-0.3, 0.3), (0.8, 0.3), (0.8, 0.8), (-0.8, 0.8)]],
    "triangle": [_polygon(3)],
}


def _shape(name: str, rng: np.random.Generator, drawn: SyntheticSet) -> Image.Image:
    """Draw one filled figure at a random place, size and angle over random lines."""
    side = drawn.size * OVERSAMPLE
    ground, ink = colours(rng, drawn.difficulty)
    canvas = Image.new("RGB", (side, side), tuple(int(v) for v in ground))
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(0, 1 + round(8 * drawn.difficulty))):
        ends = [int(v) for v in rng.uniform(0, side, 4)]
        clutter = tuple(int(v) for v in rng.uniform(0, 255, 3))
        pen.line(ends, fill=clutter, width=int(rng.integers(OVERSAMPLE, 3 * OVERSAMPLE)))
    radius = side * rng.uniform(0.2, 0.42)
    centre = rng.uniform(radius * 0.8, side - radius * 0.8, 2)
    turn = rng.uniform(0, 2 * pi)
    squeeze = rng.uniform(1 - 0.3 * drawn.difficulty, 1)
    place_shape(pen, name, ink, centre, radius, turn, squeeze)
    return finish(np.asarray(canvas, dtype=float), rng, drawn)


def place_shape(
    pen: ImageDraw.ImageDraw, name: str, ink: np.ndarray, centre: np.ndarray, radius: float, turn: float, squeeze: float = 1.0
) -> None:
    """Draw one figure, turned clockwise by an angle in radians."""
    rotation = np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
    for part in SHAPES[name]:
        points = (np.array(part) * [1, squeeze]) @ rotation.T * radius + centre
        pen.polygon([tuple(p) for p in points], fill=tuple(int(v) for v in ink))


def _texture(name: str, rng: np.random.Generator, drawn: SyntheticSet) -> Image.Image:
    """Draw one pattern over the whole image at a random angle, scale and bend."""
    side = drawn.size * OVERSAMPLE
    ground, ink = colours(rng, drawn.difficulty)
    turn, scale = rng.uniform(0, 2 * pi), rng.uniform(3.5, 7.5)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j] * scale * pi
    bend = 0.8 * drawn.difficulty
    x = x + bend * np.sin(0.7 * y + rng.uniform(0, 2 * pi)) + rng.uniform(0, 2 * pi)
    y = y + bend * np.sin(0.7 * x + rng.uniform(0, 2 * pi)) + rng.uniform(0, 2 * pi)
    u, v = cos(turn) * x - sin(turn) * y, sin(turn) * x + cos(turn) * y
    amount = TEXTURES[name](u, v, rng)
    image = ground + (ink - ground) * np.clip(amount, 0, 1)[..., None]
    return finish(image, rng, drawn)


def _cells(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the distance to the nearest of forty random points: a cracked surface."""
    points = rng.uniform([u.min(), v.min()], [u.max(), v.max()], (40, 2))
    nearest: np.ndarray = np.min([np.hypot(u - a, v - b) for a, b in points], axis=0)
    return nearest / 3


def _blobs(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a sum of twelve waves of random direction: clouds."""
    waves = rng.normal(scale=0.8, size=(12, 2))
    height: np.ndarray = np.sum([np.cos(a * u + b * v + rng.uniform(0, 6)) for a, b in waves], axis=0)
    return 0.5 + 0.22 * height


TEXTURES: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]] = {
    "blobs": _blobs,
    "bricks": lambda u, v, _: ((np.sin(v) > -0.8) & (np.sin(u / 2 + pi / 2 * (np.sin(v / 2) > 0)) > -0.9)) * 1.0,
    "cells": _cells,
    "checks": lambda u, v, _: (np.sin(u) * np.sin(v) > 0) * 1.0,
    "dots": lambda u, v, _: (np.cos(u) + np.cos(v) > 1.0) * 1.0,
    "grid": lambda u, v, _: ((np.cos(u) > 0.8) | (np.cos(v) > 0.8)) * 1.0,
    "rings": lambda u, v, _: (np.sin(np.hypot(u - u.mean(), v - v.mean())) > 0) * 1.0,
    "stripes": lambda u, _v, _: (np.sin(u) > 0) * 1.0,
    "waves": lambda u, v, _: (np.sin(u + 1.5 * np.sin(v)) > 0) * 1.0,
    "zigzag": lambda u, v, _: (np.sin(u + 2 * np.arcsin(np.sin(v))) > 0) * 1.0,
}

_glyphs = np.random.default_rng(20251)
# an invented alphabet: twelve fixed glyphs of four to six points
STROKES = {f"glyph{i:02d}": _glyphs.uniform(-1, 1, (4 + i % 3, 2)) for i in range(12)}


def _stroke(name: str, rng: np.random.Generator, drawn: SyntheticSet) -> Image.Image:
    """Draw one glyph with random deviations, as in handwriting."""
    side = drawn.size * OVERSAMPLE
    ground, ink = colours(rng, drawn.difficulty)
    canvas = Image.new("RGB", (side, side), tuple(int(v) for v in ground))
    wobble = rng.normal(scale=0.05 + 0.17 * drawn.difficulty, size=STROKES[name].shape)
    turn = rng.normal(scale=0.1 + 0.25 * drawn.difficulty)
    rotation = np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
    points = (STROKES[name] + wobble) @ rotation.T * side * rng.uniform(0.24, 0.4)
    points += side / 2 + rng.normal(scale=side * 0.04, size=2)
    width = int(rng.integers(2, 5)) * OVERSAMPLE
    ImageDraw.Draw(canvas).line([tuple(p) for p in points], tuple(int(v) for v in ink), width, joint="curve")
    return finish(np.asarray(canvas, dtype=float), rng, drawn)


OTHER_FAMILIES = {"angle": 10, "scenes": 20}  # without classes, in `drawing_targets`, with the fewest images
Paint = Callable[[str, np.random.Generator, SyntheticSet], Image.Image]
FAMILIES: dict[str, tuple[tuple[str, ...], Paint]] = {
    "shapes": (tuple(SHAPES), _shape),
    "strokes": (tuple(STROKES), _stroke),
    "textures": (tuple(TEXTURES), _texture),
}
MASKED = "shapes-mask"  # the family of images with several figures and a mask: see `drawing_masks`
MASKED_CLASSES = ("ground", "bar", "circle", "cross", "star", "triangle")
NUMBERS_OF_CLASSES = {family: len(names) for family, (names, _) in FAMILIES.items()} | {MASKED: len(MASKED_CLASSES)}
