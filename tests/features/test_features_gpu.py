"""Extraction and speed on a GPU. `python -m benchmarks.gpu` runs these tests, too."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from itm.core.sections import ExtractParams
from itm.core.types import DataRef, Features, ModelRef
from itm.core.variants import Variant
from itm.features import forward
from itm.features.extract import extract_together
from itm.features.speed import Speedometer
from itm.store.feature_file import read_embeddings
from itm.store.layout import Store

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that CUDA can use here"),
]

Embedded = Callable[[str], ModelRef]
VIT = "mini_vit_tiny_patch16_224.dino"


@pytest.fixture
def embed(shapes: DataRef, store: Store) -> Callable[..., list[np.ndarray]]:
    """Return a function that embeds the shapes by several models together, with some options."""

    def call(*models: ModelRef, **options: object) -> list[np.ndarray]:
        params = ExtractParams.model_validate({"resume": "always"} | options)
        found = extract_together(models, shapes, ("train", "val"), params, store)
        assert all(isinstance(one, Features) for one in found), found
        return [read_embeddings(one.path)[0] for one in found if isinstance(one, Features)]

    return call


@pytest.mark.parametrize("name", [VIT, "mini_resnet18.supervised", "mini_convnext_atto.supervised"])
def test_embeddings_are_those_of_the_cpu(embed, embedded: Embedded, name: str) -> None:
    (expected,) = embed(embedded(name), device="cpu")
    (in_full,) = embed(embedded(name), device="cuda", precision="fp32")
    np.testing.assert_allclose(in_full, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    (in_half,) = embed(embedded(name), device="cuda", precision="bf16")
    assert np.abs(in_half - expected).mean() < 0.05 * np.abs(expected).mean()


def test_variants_computed_together_are_those_computed_alone(embed, embedded: Embedded) -> None:
    models = [embedded(VIT), *(Variant.parse(text).of(embedded(VIT)) for text in ("mean", "block3", "token+mean"))]
    together = embed(*models, device="cuda", precision="fp32", batch_size=16)
    for model, found in zip(models, together, strict=True):
        (alone,) = embed(model, device="cuda", precision="fp32", batch_size=16)
        np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-4)


def test_free_memory_decides_the_batch(embed, embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[int] = []
    measured = forward._batch_that_fits
    monkeypatch.setattr(forward, "_batch_that_fits", lambda *given: chosen.append(measured(*given)) or chosen[-1])
    embed(embedded(VIT), device="cuda")
    monkeypatch.setattr(forward, "FREE", 1e-6)
    embed(embedded(VIT), device="cuda")
    assert chosen[0] == forward.LARGEST_BATCH
    assert chosen[1] < chosen[0]


def test_memory_that_runs_out_halves_the_batch(embed, custom: Callable[..., ModelRef]) -> None:
    (expected,) = embed(custom(), device="cpu")
    (found,) = embed(custom(most=3), device="cuda", precision="fp32", batch_size=32)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_the_gpu_is_empty_afterwards(embed, embedded: Embedded) -> None:
    before = torch.cuda.memory_allocated()
    embed(embedded(VIT), device="cuda")
    assert torch.cuda.memory_allocated() <= before


def test_memory_of_a_model_is_that_of_the_allocator(embedded: Embedded, store: Store) -> None:
    model = embedded("mini_resnet18.supervised")
    measured = Speedometer(torch.device("cuda"), "fp32", "fp32", 32, store).measure(model)
    weights = 4 * 465_000
    assert measured.memory > weights
    assert measured.finetune_memory
    assert measured.finetune_memory > 4 * weights
    assert measured.device == torch.cuda.get_device_name()
