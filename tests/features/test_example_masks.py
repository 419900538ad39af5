"""Predicted masks of test images."""

from collections.abc import Callable

import numpy as np
import pytest

from itm.core.sections import DataParams, ExtractParams
from itm.core.types import ModelRef
from itm.data.index import read_usable
from itm.data.ingest import ingest
from itm.features.example_masks import example_masks
from itm.features.extract import extract
from itm.store.layout import Store

pytestmark = pytest.mark.slow


def test_masks_are_predicted_for_test_images_and_are_better_than_the_ground(
    embedded: Callable[[str], ModelRef], store: Store
) -> None:
    data = ingest("synthetic:shapes-mask?images=60&difficulty=0", DataParams(), store)
    models = [embedded("test_vit.drawn_long"), embedded("mini_resnet18.supervised")]
    pairs = [(model, extract(model, data, ("train", "val"), ExtractParams(device="cpu"), store)) for model in models]
    found = example_masks(pairs, data, store, 4)
    tested = read_usable(data).filter(split="test")
    assert len(found) == 4 <= len(tested)
    for one in found:
        assert list(one.predicted) == [model.name for model in models]
        assert one.image.shape == (*one.mask.shape, 3) == (48, 48, 3)
        assert all(predicted.shape == one.mask.shape for predicted in one.predicted.values())
    figures = np.concatenate([one.mask[one.mask > 0] for one in found])
    predicted = np.concatenate([one.predicted[models[0].name][one.mask > 0] for one in found])
    assert (predicted == figures).mean() > 0.4  # of five classes and the ground
    again = example_masks(pairs, data, store, 4)
    assert all(
        (one.predicted[models[1].name] == two.predicted[models[1].name]).all() for one, two in zip(found, again, strict=True)
    )
