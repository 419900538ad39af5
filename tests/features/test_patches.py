"""Rows of patches: which cells are used, of which class they are, and that embeddings are those of these places."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional

from itm.core.errors import DataError, ModelError
from itm.core.sections import DataParams, ExtractParams
from itm.core.types import DataRef, Features, ModelRef, Preprocessing
from itm.data.index import read_usable
from itm.data.ingest import ingest
from itm.features.extract import extract
from itm.features.extractors import PatchExtractor
from itm.features.patches import GRID, cell_labels, choose_cells
from itm.kinds.mask_target import MaskTarget
from itm.kinds.segmentation import IGNORED
from itm.scores.folds import Splitting
from itm.store.feature_file import read_embeddings, read_groups
from itm.store.layout import Store

COLOURS = {0: (250, 10, 10), 1: (10, 250, 10), 3: (10, 10, 250)}
# The feature map of this model is the picture itself, so an embedding is the colour in the middle of its patch.
FACTORY = """
import torch
from torch import nn


class Picture(nn.Module):
    num_features = 3

    def __init__(self, pooled=False):
        super().__init__()
        self.stem = nn.Conv2d(3, 3, 1)
        self.pooled = pooled

    def forward_features(self, x):
        x = self.stem(x)
        return x.mean((2, 3)) if self.pooled else x

    def forward_head(self, x, pre_logits=False):
        return x.mean((2, 3)) if x.ndim == 4 else x


def picture(pooled=False):
    return Picture(pooled)
"""
Make = Callable[..., ModelRef]
Run = Callable[..., Features]


@pytest.fixture
def picture(tmp_path: Path) -> Make:
    """Return a function that gives a model whose feature map is the picture."""
    (tmp_path / "factory.py").write_text(FACTORY)
    weights = {"stem.weight": torch.eye(3)[:, :, None, None].contiguous(), "stem.bias": torch.zeros(3)}
    save_file(weights, tmp_path / "picture.safetensors")

    def make(size: int = 56, **arguments: object) -> ModelRef:
        prepared = Preprocessing(size, (0.0,), (1.0,), crop=0.5)
        path = tmp_path / "picture.safetensors"
        return ModelRef("picture", None, f"{tmp_path}/factory.py:picture", arguments, path, preprocessing=prepared)

    return make


def paint(folder: Path, count: int = 6) -> None:
    """Save wide images of three vertical stripes of other widths, each in the colour of its class, and an ignored one."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for number in range(count):
        mask = np.zeros((40, 120), np.uint8)
        mask[:, 30 + 5 * number :] = 1
        mask[:, 90:] = 3
        mask[:6] = 255
        picture = np.zeros((40, 120, 3), np.uint8)
        for value, colour in COLOURS.items():
            picture[mask == value] = colour
        picture[0, 0] = number
        Image.fromarray(picture).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")


@pytest.fixture
def stripes(tmp_path: Path, store: Store) -> DataRef:
    paint(tmp_path / "stripes")
    return ingest(f"folder:{tmp_path / 'stripes'}", DataParams(), store)


@pytest.fixture
def run(store: Store) -> Run:
    def compute(model: ModelRef, data: DataRef) -> Features:
        return extract(model, data, ("train", "val", "test"), ExtractParams(device="cpu"), store)

    return compute


def test_the_label_of_a_cell_is_its_most_frequent_class_without_ignored_pixels() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.integers(-1, 3, (31, 45))
    found = cell_labels(numbers, 3).reshape(GRID, GRID)
    for row in range(GRID):
        for column in range(GRID):
            inside = numbers[np.arange(31) * GRID // 31 == row][:, np.arange(45) * GRID // 45 == column]
            counts = [(inside == number).sum() for number in range(3)]
            ignored = (inside == -1).sum() > sum(counts) or not sum(counts)
            assert found[row, column] == (IGNORED if ignored else np.argmax(counts))


def test_cells_without_pixels_have_no_label() -> None:
    assert (cell_labels(np.zeros((2, 2), np.int64), 1) != IGNORED).sum() == 4


def test_every_class_has_the_same_number_of_cells_as_far_as_it_has_so_many() -> None:
    labels = np.array([0] * 100 + [1] * 3 + [IGNORED] * 20 + [2] * 50)
    chosen = choose_cells(labels, 23, np.random.default_rng(0))
    assert (np.diff(chosen) > 0).all()
    assert np.bincount(labels[chosen]).tolist() == [10, 3, 10]
    assert len(choose_cells(labels, 1000, np.random.default_rng(0))) == 153
    assert chosen.tolist() == choose_cells(labels, 23, np.random.default_rng(0)).tolist()
    assert chosen.tolist() != choose_cells(labels, 23, np.random.default_rng(1)).tolist()


def test_an_embedding_is_that_of_the_place_of_its_patch(picture: Make, stripes: DataRef, run: Run) -> None:
    features = run(picture(), stripes)
    embeddings, targets, ids = read_embeddings(features.path)
    assert features.rows == len(ids) == 6 * 64
    assert features.images == 6
    numbers = {int(name): number for number, name in enumerate(stripes.target.names)}
    expected = {numbers[value]: np.array(colour) / 255 for value, colour in COLOURS.items()}
    near = np.array([np.abs(row - expected[target]).max() < 0.05 for row, target in zip(embeddings, targets, strict=True)])
    assert near.mean() > 0.85  # others are at the border of two classes
    assert set(targets) == {0, 1, 2}


def test_all_models_have_the_same_rows(picture: Make, embedded: Callable[[str], ModelRef], stripes: DataRef, run: Run) -> None:
    models = [picture(), embedded("test_vit.drawn_long"), embedded("test_resnet.drawn_long"), embedded("test_mambaout.strokes")]
    files = [run(model, stripes).path for model in models]
    _, targets, ids = read_embeddings(files[0])
    for path in files[1:]:
        _, other_targets, other_ids = read_embeddings(path)
        assert (other_ids, other_targets.tolist()) == (ids, targets.tolist())
    assert len({file.name for file in files}) == len(files)


def test_folds_never_split_an_image(picture: Make, stripes: DataRef, run: Run) -> None:
    path = run(picture(), stripes).path
    _, targets, ids = read_embeddings(path)
    images, groups = np.array([name[:64] for name in ids]), read_groups(path)
    assert len(np.unique(groups)) == len(np.unique(images)) == 6
    for fold in Splitting().of(targets, groups):
        assert not {*images[fold.train]} & {*images[fold.test]}


def test_a_group_of_the_user_is_the_group_of_its_patches(tmp_path: Path, store: Store, picture: Make, run: Run) -> None:
    paint(tmp_path)
    rows = [f"images/{number}.png,masks/{number}.png,{number // 2}" for number in range(6)]
    (tmp_path / "index.csv").write_text("\n".join(["path,mask,group", *rows]))
    data = ingest(f"csv:{tmp_path / 'index.csv'}?task=segmentation&patches=5", DataParams(), store)
    features = run(picture(), data)
    assert features.rows == 30
    assert np.bincount(read_groups(features.path)).tolist() == [10, 10, 10]


def test_the_map_of_a_transformer_has_its_patch_tokens(embedded: Callable[[str], ModelRef]) -> None:
    extractor = PatchExtractor(embedded("test_vit.drawn_long"))
    images = torch.randn(2, *extractor.preprocessing["input_size"], generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        backbone = extractor.module.backbone
        tokens = backbone.forward_features(images)[:, backbone.num_prefix_tokens :]
        side = int(tokens.shape[1] ** 0.5)
        expected = tokens.transpose(1, 2).unflatten(2, (side, side))
        torch.testing.assert_close(extractor.module(images), expected)
        cells = functional.interpolate(expected, (GRID, GRID), mode="bilinear")
        torch.testing.assert_close(extractor(images)["embedding"], cells.flatten(2).transpose(1, 2))


@pytest.mark.parametrize("name", ["mini_resnet18.supervised", "mini_convnext_atto.supervised"])
def test_the_map_of_other_models_has_a_stride_of_sixteen(embedded: Callable[[str], ModelRef], name: str) -> None:
    extractor = PatchExtractor(embedded(name))
    channels, height, width = extractor.preprocessing["input_size"]
    images = torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        first, second = extractor.module(images), extractor.module(images)
    assert first.shape[2:] == (height // 16, width // 16)
    torch.testing.assert_close(first, second)  # the second time, later blocks are not computed


def test_models_without_a_map_are_refused(picture: Make, stripes: DataRef, run: Run) -> None:
    with pytest.raises(
        ModelError, match=r"picture: has no feature map: it returns \[6, 3\], not \[images, width, rows, columns\]"
    ):
        run(picture(pooled=True), stripes)


def test_pooled_variants_are_refused(embedded: Callable[[str], ModelRef], stripes: DataRef, run: Run) -> None:
    model = embedded("test_vit.drawn_long")
    with pytest.raises(ModelError, match="patches are not pooled, so such a variant has no embedding of its own; leave it out"):
        run(replace(model, name=f"{model.name}@token+mean", pooling="token+mean"), stripes)


def test_a_mask_that_changed_is_named(tmp_path: Path, picture: Make, stripes: DataRef, run: Run) -> None:
    path = tmp_path / "stripes" / "masks" / "0.png"
    content = path.read_bytes()
    Image.new("L", (120, 40), 1).save(path)
    with pytest.raises(DataError, match=r"masks/0\.png changed after it was ingested; ingest again\."):
        run(picture(), stripes)
    path.unlink()
    with pytest.raises(DataError, match=r"masks/0\.png can no longer be read"):
        run(picture(), stripes)
    path.write_bytes(content)
    assert run(picture(), stripes).rows


def test_stored_patches_are_used_again(picture: Make, stripes: DataRef, run: Run, store: Store) -> None:
    first, again = run(picture(), stripes), run(picture(), stripes)
    assert (first.cached, again.cached, again.images, again.seconds) == (False, True, 6, first.seconds)
    usable = read_usable(stripes, store)
    assert usable.schema["mask"] == pl.String
    assert MaskTarget.read(usable["target"][0]).patches == 64
