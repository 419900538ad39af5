"""The reason why an image is rejected names the cause, and no picture is replaced by its preview."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from itm.data import pixels
from itm.data.index import read_index
from itm.data.pixels import read_picture, read_rgb
from itm.data.problems import UnusableImageError


def _noise(side, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def _bytes(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _tiff(*pages):
    """Return a TIFF of pages, each a side and tags."""
    stream = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(stream, new=True) as writer:
        for number, (side, tags) in enumerate(pages):
            info = TiffImagePlugin.ImageFileDirectory_v2()
            for tag, value in tags.items():
                info[tag] = value
            _noise(side, number).save(writer, "TIFF", tiffinfo=info)
            writer.newFrame()
    return stream.getvalue()


def _with_sub_directory(side, sub_side):
    """Return a TIFF whose first page has a sub-directory of a larger picture, as camera raw files have."""
    content = bytearray(_tiff((side, {330: 0})))
    where = len(content)
    entries = [(256, sub_side), (257, sub_side)]
    content += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in entries)
    content += bytes(4)
    directory = struct.unpack_from("<L", content, 4)[0]
    for number in range(struct.unpack_from("<H", content, directory)[0]):
        entry = directory + 2 + 12 * number
        if struct.unpack_from("<H", content, entry)[0] == 330:
            struct.pack_into("<HHLL", content, entry, 330, 4, 1, where)
    return bytes(content)


def _canon(side):
    """Return a TIFF with the mark of Canon's raw files before its directory."""
    content = bytearray(_bytes(_noise(side).convert("L"), "TIFF"))
    content[8:8] = b"CR\x02\0\0\0\0\0"
    struct.pack_into("<L", content, 4, 16)
    for entry in range(18, 18 + 12 * struct.unpack_from("<H", content, 16)[0], 12):
        if struct.unpack_from("<H", content, entry)[0] == 273:  # where the pixels are
            struct.pack_into("<L", content, entry + 8, struct.unpack_from("<L", content, entry + 8)[0] + 8)
    return bytes(content)


def _problem(content):
    with pytest.raises(UnusableImageError) as caught, warnings.catch_warnings(action="ignore"):  # as `check_images` does
        read_rgb(io.BytesIO(content))
    return caught.value.rejection, str(caught.value)


@pytest.mark.parametrize(
    "pages",
    [
        [(8, {254: 1}), (64, {})],
        [(8, {255: 2}), (64, {})],
        [(8, {254: 5}), (16, {254: 1}), (64, {254: 0}), (32, {254: 1})],
        [(8, {}), (64, {})],
        [(64, {}), (8, {254: 1}), (16, {})],
    ],
)
def test_a_tiff_gives_its_full_picture_and_not_its_preview(pages):
    found = read_picture(io.BytesIO(_tiff(*pages)))
    assert (found.image.size, found.one_of_several) == ((64, 64), True)


def test_pages_of_equal_rank_give_the_first():
    found = read_rgb(io.BytesIO(_tiff((64, {}), (65, {}), (64, {}))))
    assert np.array_equal(np.asarray(found), np.asarray(_noise(64, 0)))


@pytest.mark.parametrize(
    "content",
    [
        _tiff((16, {254: 1})),
        _tiff((16, {254: 1}), (64, {254: 1})),
        _with_sub_directory(16, 64),
        _canon(16),
    ],
)
def test_a_preview_without_its_picture_is_rejected(content):
    rejection, reason = _problem(content)
    assert rejection == "preview"
    assert reason.endswith("(a camera raw file?); convert it to JPEG or PNG")


def test_a_smaller_version_in_a_sub_directory_is_no_problem():
    assert read_rgb(io.BytesIO(_with_sub_directory(64, 16))).size == (64, 64)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_files_of_several_pictures_are_counted_once(petals, take, caplog, kind):
    caplog.set_level("INFO", "itm")
    path = petals / "rose" / f"several.{kind.lower()}"
    path.write_bytes(_bytes(_noise(16), kind, save_all=True, append_images=[_noise(16, 1)]))
    assert take(petals).images == 21
    assert "petals: 1 file has several frames or pages; the first full picture is used" in caplog.text


@pytest.mark.parametrize(("size", "usable"), [((100, 1), True), ((101, 1), False), ((1, 30_000), False), ((3000, 20), False)])
def test_an_extreme_shape_is_rejected_before_it_is_decoded(size, usable):
    content = _bytes(Image.new("RGB", size), "PNG")
    if usable:
        assert read_rgb(io.BytesIO(content)).size == size
    else:
        reason = f"extreme shape: {size[0]} x {size[1]} pixels; one side is more than 100 times the other; crop it"
        assert _problem(content) == ("extreme shape", reason)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\0\0\0\x18ftypheic", "a HEIC image; convert it to JPEG or PNG"),
        (b"\0\0\0\x18ftypcrx ", "a camera raw file"),
        (b"FUJIFILMCCD-RAW", "a camera raw file"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer; fetch the image with `git lfs pull`"),
        (b"/annex/objects/SHA256E-s12", "a git-annex pointer"),
        (b"%PDF-1.7", "a PDF document"),
        (b"<!DOCTYPE html><html>", "a web page, perhaps a failed download"),
        (b'<?xml version="1.0"?>\n<svg width="3">', "an SVG drawing"),
        (b"PK\x03\x04", "a zip archive"),
        (bytes(128) + b"DICM", "a DICOM image"),
        (b"\0\0\x01\0\x01\0", "an icon"),
    ],
)
def test_a_file_of_another_kind_is_named(head, words):
    rejection, reason = _problem(head + bytes(600))
    assert rejection == "not an image"
    assert reason.startswith(f"not an image, but {words}")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_file_that_ends_too_early_is_damaged(kind):
    whole = _bytes(_noise(64), kind)
    for length in (20, len(whole) // 2):
        rejection, reason = _problem(whole[:length])
        assert rejection == "truncated or damaged"
        assert reason.endswith("; copy or download the image again")


@pytest.mark.parametrize(
    ("error", "rejection", "words"),
    [
        (MemoryError(), "too large", "too large: decoding it needs more memory than is free"),
        (OSError("decoder jpeg2k not available"), "unsupported", "unsupported: a kind of PNG that Pillow cannot decode"),
        (OSError(5, "Input/output error"), "unreadable", "unreadable: Input/output error"),
        (RuntimeError(), "unreadable", "unreadable: Pillow failed with RuntimeError: RuntimeError; convert"),
        (RecursionError("deep"), "unreadable", "unreadable: Pillow failed with RecursionError: deep"),
        (zlib.error("bad"), "truncated or damaged", "truncated or damaged: bad"),
        (OSError(), "truncated or damaged", "truncated or damaged: OSError"),
    ],
)
def test_any_error_of_a_decoder_rejects_its_image_only(petals, take, monkeypatch, error, rejection, words):
    _noise(13).save(petals / "rose" / "01.png")
    turn = pixels._turn_upright

    def fail(image):
        if image.size == (13, 13):
            raise error
        turn(image)

    monkeypatch.setattr(pixels, "_turn_upright", fail)
    data = take(petals)
    ((found, reason),) = read_index(data).filter(status="rejected").select("rejection", "reason").rows()
    assert (data.images, found) == (19, rejection)
    assert reason.startswith(words)


def test_a_tiff_of_unusual_channels_is_unsupported():
    content = bytearray(_bytes(_noise(16), "TIFF"))
    where = content.index(struct.pack("<HHL", 262, 3, 1)) + 8
    struct.pack_into("<H", content, where, 32803)  # a colour filter array
    assert _problem(bytes(content))[0] == "unsupported"
