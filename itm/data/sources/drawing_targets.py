"""Draw images of the families that have no classes: `scenes` with several labels, and `angle` with a number."""

from collections.abc import Callable, Iterator
from math import radians

import numpy as np
from PIL import Image, ImageDraw

from itm.data.sources.drawing import OVERSAMPLE, SyntheticSet, colours, finish, place_shape

LABELS = ("arrow", "bar", "circle", "cross", "square", "star", "triangle")
MOST_FIGURES = 3
QUARTERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))
WIDEST = 90  # degrees of an arrow to either side


def draw_targets(drawn: SyntheticSet) -> Iterator[tuple[list[str], Image.Image]]:
    """Yield the cells of the target and an RGB image: the labels of a scene, or the angle of an arrow in degrees."""
    for number in range(drawn.images):
        rng = np.random.default_rng([drawn.seed, 100 + sorted(_PAINT).index(drawn.family), number])
        yield _PAINT[drawn.family](rng, drawn)


def _scene(rng: np.random.Generator, drawn: SyntheticSet) -> tuple[list[str], Image.Image]:
    """Draw up to three different figures, each in a quarter of its own."""
    canvas, pen, ground = _ground(rng, drawn)
    side = drawn.size * OVERSAMPLE
    names = rng.choice(LABELS, rng.integers(0, MOST_FIGURES + 1), replace=False).tolist()
    for name, quarter in zip(names, rng.permutation(QUARTERS), strict=False):
        centre = side / 2 + side * (0.22 * quarter + rng.uniform(-0.04, 0.04, 2))
        ink = _unlike(ground, rng)
        place_shape(pen, name, ink, centre, side * rng.uniform(0.14, 0.21), rng.uniform(0, 2 * np.pi))
    return sorted(names), finish(np.asarray(canvas, dtype=float), rng, drawn)


def _angle(rng: np.random.Generator, drawn: SyntheticSet) -> tuple[list[str], Image.Image]:
    """Draw one arrow; its angle is counted clockwise from pointing to the right."""
    canvas, pen, ground = _ground(rng, drawn)
    side, angle = drawn.size * OVERSAMPLE, round(float(rng.uniform(-WIDEST, WIDEST)), 2)
    radius = side * rng.uniform(0.25, 0.42)
    centre = side / 2 + rng.uniform(-0.07, 0.07, 2) * side
    place_shape(pen, "arrow", _unlike(ground, rng), centre, radius, radians(angle))
    return [str(angle)], finish(np.asarray(canvas, dtype=float), rng, drawn)


def _ground(rng: np.random.Generator, drawn: SyntheticSet) -> tuple[Image.Image, ImageDraw.ImageDraw, np.ndarray]:
    """Return a canvas with random lines, a pen for it, and its colour."""
    side = drawn.size * OVERSAMPLE
    ground, _ = colours(rng, drawn.difficulty)
    canvas = Image.new("RGB", (side, side), tuple(int(v) for v in ground))
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(0, 1 + round(8 * drawn.difficulty))):
        ends, clutter = [int(v) for v in rng.uniform(0, side, 4)], tuple(int(v) for v in rng.uniform(0, 255, 3))
        pen.line(ends, fill=clutter, width=int(rng.integers(OVERSAMPLE, 2 * OVERSAMPLE)))
    return canvas, pen, ground


def _unlike(ground: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a colour far from that of the ground."""
    drawn = rng.uniform(0, 255, (8, 3))
    return np.asarray(drawn[np.linalg.norm(drawn - ground, axis=1).argmax()])


_PAINT: dict[str, Callable[[np.random.Generator, SyntheticSet], tuple[list[str], Image.Image]]] = {
    "angle": _angle,
    "scenes": _scene,
}
