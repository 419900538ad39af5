"""The picture of masks: columns and colours, and its place in the page."""

from io import BytesIO

import numpy as np
from PIL import Image

from itm.report.mask_picture import GAP, IGNORED_GREY, KEY, LINE, WIDTH, draw_masks
from itm.report.page import render
from tests.report.example import example_ranking

NAMES = ("sky", "road", "car")


def drawn(*models: str) -> Image.Image:
    """Return the picture of one image of three stripes, the last one ignored, whose models predict the first class."""
    mask = np.repeat([[0, 1, -1]], 6, axis=0).repeat(4, axis=1)
    image = np.full((6, 12, 3), 7, np.uint8)
    rows = [(image, mask, {name: np.zeros_like(mask) for name in models})] * 2
    return Image.open(BytesIO(draw_masks(rows, NAMES, "a key")))


def tile(picture: Image.Image, column: int, row: int = 0) -> np.ndarray:
    """Return the pixels of a tile of the picture."""
    left, top = GAP + column * (WIDTH + GAP), LINE + row * (WIDTH // 2 + GAP)
    return np.asarray(picture)[top : top + WIDTH // 2, left : left + WIDTH]


def test_there_is_a_column_per_model_and_a_row_per_image() -> None:
    picture = drawn("one", "a model with a name that is longer than its column")
    assert picture.info[KEY] == "a key"
    assert picture.width == GAP + 4 * (WIDTH + GAP)
    assert (tile(picture, 0) == 7).all()
    assert (tile(picture, 0, 1) == 7).all()


def test_classes_have_their_colours_and_what_is_ignored_is_grey() -> None:
    picture = drawn("one")
    mask, predicted = tile(picture, 1), tile(picture, 2)
    colours = [mask[60, 40], mask[60, 120], mask[60, 200]]
    assert len(np.unique(colours, axis=0)) == 3
    assert (colours[2] == IGNORED_GREY).all()
    assert (predicted == colours[0]).all()


def test_the_page_has_the_picture_of_its_data_set_only() -> None:
    ranking = example_ranking()
    name = ranking.data_sets[0].data
    assert render(ranking, examples={name: b"png"}).count('src="data:image/png;base64,cG5n"') == 1
    assert render(ranking, examples={"other": b"png"}) == render(ranking)
