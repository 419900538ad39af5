"""A small data set that can be learnt, and fine-tuning short enough for a test."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from itm.core.sections import DataParams, ExtractParams, FinetuneParams
from itm.core.types import DataRef, ModelRef, Run, TargetSpec
from itm.data.index import read_index
from itm.data.ingest import ingest
from itm.finetuning.images import Images, read_images
from itm.finetuning.runs import finetune
from itm.store.layout import Store
from itm.zoo import facts as zoo_facts

TEN = TargetSpec("classification", tuple(f"{number}" for number in range(10)))
Finetune = Callable[..., tuple[Run, ...]]
SHORT = {
    "seeds": 1,
    "steps": 6,
    "evaluations": 2,
    "learning_rates": (1e-4, 1e-2),
    "few_images_divisor": 1,
    "batch_norm": "frozen",
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Compute on one thread: sums of several differ in their last digits."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> DataRef:
    """Return 150 scanned digits of ten classes, 90 of them to train on."""
    return ingest("digits", DataParams(max_images=150), Store(tmp_path_factory.mktemp("digits")))


@pytest.fixture
def run(store: Store, digits: DataRef) -> Finetune:
    """Fine-tune with some options on one seed; whatever is not said is short."""

    def call(model: ModelRef, data: DataRef = digits, resume: str = "only-missing", **params: Any) -> tuple[Run, ...]:
        options = FinetuneParams.model_validate(SHORT | params)
        extract = ExtractParams.model_validate({"device": "cpu", "resume": resume})
        return finetune(model, data, options, extract, store)

    return call


@pytest.fixture
def resnet(embedded: Callable[[str], ModelRef]) -> ModelRef:
    """Return a small embedded model with batch norm."""
    return embedded("test_resnet.drawn_long")


@pytest.fixture
def images(digits: DataRef, resnet: ModelRef) -> Images:
    """Return the digits as the small model sees them."""
    config = zoo_facts.preprocessing_without_weights(resnet)
    return read_images(read_index(digits), digits, config, torch.device("cpu"), Store(Path()))
