"""Images are decoded once for all models, which see what timm gives, bit by bit."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
from PIL import Image

from itm.core.errors import DataError
from itm.data.pixels import open_file
from itm.features.image_reader import ImageReader
from itm.store.layout import Store
from itm.zoo.facts import create_transform
from tests.features.readers import CONFIG, IMAGES, Counted, decoded, files, read

pytestmark = pytest.mark.slow

KINDS = {
    "bilinear": {"interpolation": "bilinear"},
    "nearest": {"interpolation": "nearest"},
    "lanczos": {"interpolation": "lanczos"},
    "not square": {"input_size": [3, 32, 48]},
    "squash": {"crop_mode": "squash"},
    "border": {"crop_mode": "border", "crop_pct": 1.0},
    "whole": {"crop_pct": 1.0},
    "grey": {"input_size": [1, 32, 32], "mean": [0.5], "std": [0.25]},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("while_decoding", [False, True])
def test_inputs_are_those_of_timm_bit_by_bit(reader: ImageReader, opener: Counted, kind: str, while_decoding: bool) -> None:
    config = CONFIG | KINDS[kind]
    transform = create_transform(config)
    expected = torch.stack([transform(Image.open(path)) for path in reader.rows["path"]])
    mean, std = (torch.tensor(config[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    for _ in range(2):  # decoded, then from the file
        images = read(reader, config, while_decoding)
        assert torch.equal(images.float().div_(255).sub_(mean).div_(std), expected)
    assert len(opener.opened) == IMAGES


def test_one_decode_serves_every_geometry_that_the_run_wants(reader: ImageReader, opener: Counted) -> None:
    kinds = [CONFIG | kind for kind in KINDS.values()]
    first = replace(reader, run_configs=kinds)
    read(first)
    for kind in kinds:
        assert torch.equal(read(first, kind), decoded(reader, kind))
    assert len(opener.opened) == IMAGES


def test_models_that_differ_in_normalisation_share_a_file(reader: ImageReader, store: Store) -> None:
    read(reader)
    read(reader, CONFIG | {"mean": [0.5] * 3, "std": [0.5] * 3})
    assert len(files(store)) == 1


def test_the_name_of_a_file_depends_on_the_ids_however_many_there_are() -> None:
    ids = [f"{number:064x}" for number in range(25_000)]
    for count in (1, 10_000, 25_000):
        reader = ImageReader("many", pl.DataFrame({"id": ids[:count]}), open_file, None)
        assert reader._images == hashlib.sha256("\n".join(ids[:count]).encode()).hexdigest()


def test_models_that_begin_at_the_same_time_decode_once(reader: ImageReader, opener: Counted) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: read(reader), range(4)))
    assert len(opener.opened) == IMAGES
    assert all(torch.equal(images, found[0]) for images in found)


def test_an_interrupted_model_leaves_nothing(reader: ImageReader, store: Store) -> None:
    images = reader.read(CONFIG, workers=2, ahead=4, while_decoding=True, fill_workers=2)
    next(images)
    images.close()
    assert not files(store)
    assert len(read(reader)) == IMAGES  # and holds no lock


def test_an_image_that_changed_is_named_and_nothing_is_kept(reader: ImageReader, store: Store) -> None:
    Path(reader.rows["path"][4]).write_bytes(b"other")
    with pytest.raises(DataError, match=r"4\.png changed after it was ingested"):
        read(reader)
    assert not files(store)


def test_the_file_that_was_not_used_for_longest_makes_room(reader: ImageReader, store: Store) -> None:
    whole, squash, border = (CONFIG | {"crop_mode": mode} for mode in ("center", "squash", "border"))
    read(reader, whole)
    (first,) = files(store)
    two = replace(reader, limit=2 * first.stat().st_size)
    read(two, squash)
    (second,) = set(files(store)) - {first}
    for path, used in ((first, 2e9), (second, 1e9)):
        os.utime(path, (used, used))
    read(two, border)
    assert first in files(store)
    assert second not in files(store)
    assert len(files(store)) == 2


@pytest.mark.parametrize("while_decoding", [False, True])
def test_where_only_another_geometry_fits_the_model_gets_its_own(
    reader: ImageReader, store: Store, while_decoding: bool
) -> None:
    small = CONFIG | {"input_size": [3, 8, 8]}
    room_for_small = replace(reader, limit=5_000, run_configs=[dict(CONFIG), small])
    assert torch.equal(read(room_for_small, CONFIG, while_decoding), decoded(reader))
    assert torch.equal(read(room_for_small, small, while_decoding), decoded(reader, small))
    assert len(files(store)) == 1


@pytest.mark.parametrize("while_decoding", [False, True])
def test_a_geometry_that_an_image_cannot_have_fails_no_other(
    reader: ImageReader, store: Store, monkeypatch: pytest.MonkeyPatch, while_decoding: bool
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300_000)
    large = CONFIG | {"input_size": [3, 1024, 1024]}
    both = replace(reader, run_configs=[large])
    assert torch.equal(read(both, CONFIG, while_decoding), decoded(reader))
    assert len(files(store)) == 1
    with pytest.raises(DataError, match="cannot be resized for the model"):
        read(both, large, while_decoding)


def test_images_that_do_not_fit_are_decoded_for_each_model(
    reader: ImageReader, store: Store, opener: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "itm")
    small = replace(reader, limit=20_000)
    for _ in range(2):
        assert torch.equal(read(small), decoded(reader))
    assert len(opener.opened) == 2 * IMAGES
    assert not files(store)
    assert "set: decoded images need 3.69e-05 GB, extract.decoded allows 2e-05: each model decodes them" in caplog.text
