"""A picture of images with their masks and predicted masks, one column per model, as PNG."""

import colorsys
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

WIDTH = 240  # pixels of a column
GAP, LINE, LETTERS = 8, 22, 34  # pixels, pixels per line of text, and letters that fit above a column
KEY = "itm"  # the text of the PNG with the key of what is drawn
IGNORED_GREY = 70
FONT_SIZE = 13
LIGHTNESS = (0.4, 0.6, 0.75)


def draw_masks(
    rows: Sequence[tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray]]], names: Sequence[str], key: str
) -> bytes:
    """Return a PNG of rows of (image [height, width, 3], mask [height, width], predicted masks by model).

    Masks have class numbers of `names`; others are grey. `key` is kept in the file.
    """
    palette = np.vstack([_palette(len(names)), [[IGNORED_GREY] * 3]]).astype(np.uint8)  # the last one is number -1
    heights = [max(1, WIDTH * image.shape[0] // image.shape[1]) for image, _, _ in rows]
    headings = ["image", "mask", *rows[0][2]]
    lines = _legend_lines(names, len(headings) * (WIDTH + GAP))
    size = len(headings) * (WIDTH + GAP) + GAP, LINE + sum(heights) + GAP * len(heights) + LINE * len(lines) + GAP
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for column, heading in enumerate(headings):
        text = heading if len(heading) <= LETTERS else f"{heading[: LETTERS - 1]}\u2026"
        pen.text((GAP + column * (WIDTH + GAP), 3), text, fill="black", font=font)
    top = LINE
    for (image, mask, predicted), height in zip(rows, heights, strict=True):
        tiles = [Image.fromarray(image), *(Image.fromarray(palette[own]) for own in (mask, *predicted.values()))]
        for column, tile in enumerate(tiles):
            how = Image.Resampling.BILINEAR if column == 0 else Image.Resampling.NEAREST
            sheet.paste(tile.resize((WIDTH, height), how), (GAP + column * (WIDTH + GAP), top))
        top += height + GAP
    for line in lines:
        for left, number in line:
            pen.rectangle((left, top + 4, left + 12, top + 16), fill=tuple(palette[number].tolist()), outline="black")
            pen.text((left + 18, top + 2), [*names, "ignored"][number], fill="black", font=font)
        top += LINE
    about, buffer = PngImagePlugin.PngInfo(), BytesIO()
    about.add_text(KEY, key)
    sheet.save(buffer, "PNG", pnginfo=about)
    return buffer.getvalue()


def _legend_lines(names: Sequence[str], width: int) -> list[list[tuple[int, int]]]:
    """Return lines of (left, class number), as many as are needed; the last number is that of what is ignored."""
    lines: list[list[tuple[int, int]]] = [[]]
    left = GAP
    for number, name in enumerate([*names, "ignored"]):
        needed = 18 + 9 * len(name) + GAP
        if left + needed > width and lines[-1]:
            lines.append([])
            left = GAP
        lines[-1].append((left, number))
        left += needed
    return lines


def _palette(classes: int) -> np.ndarray:
    """Return a colour [classes, 3] for each class; neighbours differ in hue and lightness."""
    colours = [colorsys.hls_to_rgb((0.61 + n * 0.382) % 1, LIGHTNESS[n % len(LIGHTNESS)], 0.75) for n in range(classes)]
    return 255 * np.array(colours)
