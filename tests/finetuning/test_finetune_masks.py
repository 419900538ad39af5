"""Fine-tuning for segmentation: what is compared with the pixels of masks, and runs of both protocols."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from click.testing import Result
from torch.nn import functional

from itm.core.errors import DataError
from itm.core.sections import DataParams, ExtractParams, FinetuneParams
from itm.core.types import DataRef, ModelRef, Outcome, TargetSpec
from itm.data.index import read_index
from itm.data.ingest import ingest
from itm.features.extractors import PatchExtractor
from itm.finetuning.images import Images, read_images
from itm.finetuning.pixels import cell_rows, evaluate_pixels, resized
from itm.finetuning.runs import finetune
from itm.finetuning.table import runs_table
from itm.kinds.metrics import mean_iou
from itm.kinds.segmentation import IGNORED
from itm.store.layout import Store

SPEC = TargetSpec("segmentation", ("sky", "road", "car"))
QUICK = FinetuneParams(seeds=1, steps=8, evaluations=2, learning_rates=(1e-4, 1e-2), batch_size=8, few_images=0)
CPU = ExtractParams(device="cpu")


def drawn(rows: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Return coarse outputs, and masks with ignored pixels."""
    rng = np.random.default_rng(0)
    outputs = torch.from_numpy(rng.normal(size=(rows, 3, 4, 6)).astype(np.float32))
    return outputs, torch.from_numpy(rng.integers(-1, 3, (rows, 17, 25)))


def test_outputs_are_enlarged_and_compared_with_the_pixels_that_are_not_ignored() -> None:
    outputs, masks = drawn(40)
    overlap, right, loss = evaluate_pixels(outputs, masks, SPEC)
    enlarged = functional.interpolate(outputs, (17, 25), mode="bilinear", align_corners=False)
    valid = masks != IGNORED
    predicted, actual = enlarged.argmax(dim=1)[valid].numpy(), masks[valid].numpy()
    assert overlap == pytest.approx(mean_iou(predicted, actual))
    assert right == pytest.approx((predicted == actual).mean())
    assert loss == pytest.approx(float(functional.cross_entropy(enlarged, masks, ignore_index=IGNORED)), rel=1e-5)


def test_right_outputs_are_perfect_and_masks_without_a_class_do_not_count() -> None:
    masks = torch.arange(3).repeat_interleave(4)[None, None].expand(2, 12, 12)
    outputs = 100.0 * functional.one_hot(masks, 3).movedim(-1, 1).float()
    assert evaluate_pixels(outputs, masks, SPEC)[:2] == (1.0, 1.0)
    void = torch.cat([masks, torch.full((1, 12, 12), IGNORED)])
    assert evaluate_pixels(torch.cat([outputs, outputs[:1]]), void, SPEC)[:2] == (1.0, 1.0)


def test_a_map_gives_one_row_per_cell_with_a_class() -> None:
    masks = torch.full((2, 28, 28), IGNORED)
    masks[1, :14, :] = 2
    rows, labels = cell_rows(torch.arange(2.0)[:, None, None, None].expand(2, 5, 3, 3), masks, 3)
    assert (rows.shape, labels.tolist()) == ((98, 5), [2] * 98)
    torch.testing.assert_close(rows, torch.ones(98, 5))


def test_masks_are_resized_to_the_value_of_the_nearest_pixel() -> None:
    masks = torch.tensor([[[0, 1], [2, IGNORED]]], dtype=torch.int16)
    assert resized(masks, (4, 4))[0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, -1, -1], [2, 2, -1, -1]]


@pytest.fixture
def figures(store: Store) -> DataRef:
    return ingest("synthetic:shapes-mask?images=40&difficulty=0", DataParams(), store)


@pytest.fixture
def images(figures: DataRef, embedded: Callable[[str], ModelRef], store: Store) -> Images:
    config = PatchExtractor(embedded("test_vit.drawn_long")).preprocessing
    return read_images(read_index(figures), figures, config, torch.device("cpu"), store)


def test_a_crop_of_a_mask_is_that_of_its_image(images: Images) -> None:
    """The saturation of the colour tells figures from the ground, in the image as in the mask."""
    crops, masks = images.cropped(torch.arange(8), 0.3, True, torch.Generator().manual_seed(0))
    colours = (crops * images.std + images.mean).clamp(0, 255)
    saturation = 1 - colours.amin(dim=1) / colours.amax(dim=1)
    assert masks.shape == crops[:, 0].shape
    figure, ground = saturation[masks > 0].mean(), saturation[masks == 0].mean()
    moved = saturation[masks.flip(1) > 0].mean()
    assert figure > ground + 0.2
    assert figure > moved + 0.1


@pytest.mark.slow
def test_both_protocols_measure_mean_iou_on_the_pixels_of_test_images(
    figures: DataRef, embedded: Callable[[str], ModelRef], store: Store
) -> None:
    model = embedded("test_vit.drawn_long")
    full, head = finetune(model, figures, QUICK, CPU, store)
    assert (full.protocol, head.protocol, full.test_images) == ("full", "head", 8)
    for run in (full, head):
        assert run.test_pixel_accuracy is not None
        assert 0.1 < run.test_accuracy < run.test_pixel_accuracy < 1
    again = finetune(model, figures, QUICK, CPU, store)
    assert [run.cached for run in again] == [True, True]
    assert [run.test_accuracy for run in again] == [full.test_accuracy, head.test_accuracy]
    table = runs_table([Outcome(figures.name, model.name, runs=again)])
    assert table.schema["test_pixel_accuracy"] == pl.Float64
    assert table["test_pixel_accuracy"].to_list() == [full.test_pixel_accuracy, head.test_pixel_accuracy]


def test_other_protocols_are_refused(figures: DataRef, embedded: Callable[[str], ModelRef], store: Store) -> None:
    params = QUICK.model_copy(update={"protocols": ("lora",)})
    with pytest.raises(DataError, match="for segmentation, the protocols are full and head"):
        finetune(embedded("test_vit.drawn_long"), figures, params, CPU, store)


def test_a_split_without_images_is_refused(tmp_path: Path, embedded: Callable[[str], ModelRef]) -> None:
    store = Store(tmp_path / "other")
    data = ingest("synthetic:shapes-mask?images=12", DataParams(splits={"train": 1.0}), store)
    with pytest.raises(DataError, match="has no val and no test images"):
        finetune(embedded("test_vit.drawn_long"), data, QUICK, CPU, store)


@pytest.mark.slow
def test_a_ranking_is_confirmed_by_mean_iou(project: Callable[..., Path], call: Callable[..., Result], root: Path) -> None:
    search = {"steps": 4, "seeds": 1, "evaluations": 1, "learning_rates": [1e-4, 1e-2], "few_images": 0}
    folder = project(zoo={"file": str(root / "data" / "zoo" / "zoo.yaml")}, finetune=search)
    source = "figures=synthetic:shapes-mask?images=40"
    shown = call("rank", source, "-m", "test_vit.*", "--score", "knn", "--confirm", "2").output
    assert "Always predicting the most frequent class of all patches reaches a patch accuracy of" in shown
    assert "The first has a patch accuracy of" in shown
    assert "Mean IoU in percent after fine-tuning" in shown
    assert "validation mean IoU" in shown
    (page,) = (folder / "kept").glob("rankings/*/reports/index.html")
    text = page.read_text(encoding="utf-8")
    assert "6 classes" in text
    assert "Mean IoU in percent after fine-tuning" in text
    assert text.count("data:image/png;base64,") == 1
    (runs,) = (folder / "kept").glob("rankings/*/finetuned/*.parquet")
    assert pl.read_parquet(runs)["test_pixel_accuracy"].null_count() == 0
