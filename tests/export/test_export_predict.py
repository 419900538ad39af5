"""Predictions from every form of images."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from itm.export.predict import predict

FORMS = ("path", "text", "paths", "array of paths", "table", "bytes", "picture", "pixels", "batch", "numbers", "list of pixels")


def transform(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image.resize((4, 4)), dtype=np.float32)).permute(2, 0, 1)


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3)).eval()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    Image.effect_noise((9, 7), 60).convert("RGB").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def as_form(file: Path, form: str) -> Any:
    image = Image.open(file)
    pixels = np.asarray(image)
    forms = {"path": file, "text": str(file), "paths": [file], "array of paths": np.array([str(file)])}
    forms |= {"table": pd.DataFrame({"image": [str(file)]}), "bytes": file.read_bytes(), "picture": image, "pixels": pixels}
    return (forms | {"batch": pixels[None], "numbers": pixels[None].astype(np.int64), "list of pixels": [pixels]})[form]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_image_gives_the_same(model: torch.nn.Module, file: Path, form: str) -> None:
    expected = model(transform(Image.open(file))[None]).detach().numpy()
    found = predict(model, transform, as_form(file, form), classifies=False)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == np.float32


def test_probabilities_of_many_images_sum_to_one(model: torch.nn.Module) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (70, 5, 6, 3), np.uint8)
    found = predict(model, transform, pixels, classifies=True)
    assert found.shape == (70, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_images_are_upright_and_on_white(tmp_path: Path) -> None:
    seen: list[Image.Image] = []
    model = torch.nn.Linear(1, 1)

    def look(image: Image.Image) -> torch.Tensor:
        seen.append(image)
        return torch.zeros(1)

    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    Image.new("RGBA", (8, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    predict(model, look, [tmp_path / "turned.jpg", tmp_path / "clear.png"], classifies=False)
    assert seen[0].size == (4, 8)
    assert seen[1].getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("nowhere.png", "nowhere.png: cannot be opened"),
        (np.zeros((3, 8, 8), np.uint8), "an array of 3 x 8 x 8 is no image"),
        (np.zeros((8, 8, 3), np.float32), "convert it to bytes"),
        (np.full((8, 8, 3), 300), "convert it to bytes"),
        ([], "there is no image"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), "a table needs one column, of paths; it has a, b"),
        (Image.new("CMYK", (4, 4)), "has the mode CMYK"),
        (Image.new("I;16", (4, 4)), "has the mode I;16"),
        (3, "3 of type int is no image"),
    ],
)
def test_what_is_no_image_is_named(model: torch.nn.Module, images: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predict(model, transform, images, classifies=False)
