"""Every kind of image file is read as the picture a person would see, checked against pixels made here."""

import hashlib
import io
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from itm.core.errors import DataError
from itm.data.pixels import open_file, open_verified, read_rgb

RED, WHITE = (255, 0, 0), (255, 255, 255)


def _rgb(path: Path) -> Image.Image:
    with path.open("rb") as stream:
        return read_rgb(stream)


def _pixels(path: Path) -> list[tuple[int, ...]]:
    image = _rgb(path)
    assert image.mode == "RGB"
    return [tuple(int(v) for v in pixel) for pixel in np.asarray(image).reshape(-1, 3)]


def _saved(path: Path, values: list[list[float]], kind: npt.DTypeLike) -> Path:
    Image.fromarray(np.array(values, dtype=kind)).save(path)
    return path


def test_sixteen_bit_grey_is_scaled_and_rounded(tmp_path):
    path = _saved(tmp_path / "grey.png", [[0, 128, 129, 257, 32768, 65535]], np.uint16)
    assert [pixel[0] for pixel in _pixels(path)] == [0, 0, 1, 1, 128, 255]
    other_end = _saved(tmp_path / "grey.tiff", [[0, 128, 129, 257, 32768, 65535]], np.dtype(">u2"))
    assert _pixels(other_end) == _pixels(path)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([0, 100, 255], np.int32, [0, 100, 255]),
        ([0, 257, 65535], np.int32, [0, 1, 255]),
        ([-100, 0, 100], np.int32, [0, 128, 255]),
        ([5, 5, 5_000_000], np.int32, [0, 0, 255]),
        ([0.0, 0.2, 1.0], np.float32, [0, 51, 255]),
        ([0.0, 51.2, 200.0], np.float32, [0, 51, 200]),
        ([-1.0, 0.0, 1.0], np.float32, [0, 128, 255]),
        ([np.nan, 0.2, np.inf], np.float32, [0, 51, 0]),
        ([np.nan, np.nan, np.nan], np.float32, [0, 0, 0]),
        ([-7.0, -7.0, -7.0], np.float32, [0, 0, 0]),
    ],
)
def test_numbers_without_a_range_follow_the_documented_rule(tmp_path, values, kind, expected):
    assert [pixel[0] for pixel in _pixels(_saved(tmp_path / "wide.tiff", [values], kind))] == expected


def test_a_palette_with_transparency_is_put_on_white(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 0, 255, 0, 255, 0])
    image.putdata([0, 1, 2])
    image.save(tmp_path / "one.png", transparency=1)
    image.save(tmp_path / "list.png", transparency=bytes([255, 0, 255]))
    assert _pixels(tmp_path / "one.png") == _pixels(tmp_path / "list.png") == [RED, WHITE, (0, 255, 0)]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
        ("LA", (0, 0), WHITE),
        ("LA", (10, 255), (10, 10, 10)),
        ("1", 1, WHITE),
        ("L", 77, (77, 77, 77)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
    ],
)
def test_transparent_images_are_put_on_white(tmp_path, mode, colour, expected):
    Image.new(mode, (2, 1), colour).save(tmp_path / "image.png")
    assert _pixels(tmp_path / "image.png") == [expected] * 2


def test_a_transparent_colour_of_an_rgb_image_is_white(tmp_path):
    image = Image.new("RGB", (2, 1), (10, 20, 30))
    image.putpixel((1, 0), RED)
    image.save(tmp_path / "key.png", transparency=(10, 20, 30))
    assert _pixels(tmp_path / "key.png") == [WHITE, RED]


def test_four_inks_are_read_with_and_without_the_mark_of_adobe(tmp_path):
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    inks.save(tmp_path / "adobe.jpg", quality=100)
    inks.save(tmp_path / "inks.tiff")
    inverted = io.BytesIO()
    Image.eval(inks, lambda value: 255 - value).save(inverted, "JPEG", quality=100)
    data = inverted.getvalue()
    start = data.index(b"\xff\xee")  # the segment that holds the mark
    plain = data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") :]
    assert b"Adobe" not in plain
    (tmp_path / "plain.jpg").write_bytes(plain)
    for name in ("adobe.jpg", "plain.jpg", "inks.tiff"):
        assert np.abs(np.array(_pixels(tmp_path / name)) - RED).max() <= 3, name


@pytest.mark.parametrize("name", ["moving.gif", "moving.png", "moving.webp"])
def test_an_animation_shows_its_first_frame(tmp_path, name):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, (0, 0, 255))]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **({"lossless": True} if "webp" in name else {}))
    assert set(_pixels(tmp_path / name)) == {RED}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright(tmp_path, orientation):
    upright = np.zeros((2, 3, 3), np.uint8)
    upright[0, 0], upright[1, 2] = RED, (0, 0, 255)
    undo = {
        1: lambda a: a,
        2: np.fliplr,
        3: partial(np.rot90, k=2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: partial(np.rot90, k=1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: partial(np.rot90, k=-1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(undo(upright))).save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(np.asarray(_rgb(tmp_path / "photo.png")), upright)


def test_broken_exif_does_not_spoil_the_pixels(tmp_path):
    Image.new("RGB", (2, 1), RED).save(tmp_path / "photo.png", exif=b"Exif\x00\x00MM\x00\x2a\xff\xff")
    assert _pixels(tmp_path / "photo.png") == [RED, RED]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nothing.png", r"nothing\.png can no longer be read \(.*No such file.*\); ingest again"),
        ("changed.png", r"changed\.png changed after it was ingested; ingest again"),
        (
            "page.eps",
            r"page\.eps: cannot be opened as an image \(not an image, but a PostScript page; .*\); repair",
        ),
    ],
)
def test_an_image_that_cannot_be_opened_is_named(tmp_path, name, reason):
    page = tmp_path / "page.eps"  # a page description: Pillow would hand it to another program
    page.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    Image.new("RGB", (2, 1)).save(tmp_path / "changed.png")
    id_ = hashlib.sha256(page.read_bytes()).hexdigest()
    with pytest.raises(DataError, match=reason):
        open_verified(str(tmp_path / name), id_, open_file)


def test_an_image_with_the_bytes_that_were_ingested_is_opened(tmp_path):
    Image.new("RGB", (2, 1), RED).save(tmp_path / "same.png")
    id_ = hashlib.sha256((tmp_path / "same.png").read_bytes()).hexdigest()
    assert open_verified(str(tmp_path / "same.png"), id_, open_file).getpixel((1, 0)) == RED
