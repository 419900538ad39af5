"""Speed and memory of a model: measured alone, kept, and the same for candidates with the same forward pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from itm.core.errors import ModelError
from itm.core.types import ModelRef
from itm.core.variants import Variant
from itm.features import speed
from itm.features.allocations import peak_memory
from itm.features.speed import Speedometer
from itm.store.layout import Store

Embedded = Callable[[str], ModelRef]
CPU = torch.device("cpu")


@pytest.fixture
def speedometer(store: Store) -> Speedometer:
    return Speedometer(CPU, "fp32", "fp32", 32, store)


def test_what_was_measured_is_kept(speedometer: Speedometer, embedded: Embedded) -> None:
    model = embedded("test_resnet.drawn_long")
    assert speedometer.stored(model) is None
    measured = speedometer.measure(model)
    assert speedometer.stored(model) == measured
    assert 0 < measured.latency_ms < 10_000
    assert measured.images_per_second > 0
    assert "threads" in measured.device


def test_speed_belongs_to_architecture_pixels_and_device(speedometer: Speedometer, embedded: Embedded) -> None:
    model = embedded("test_vit.drawn_long")
    speedometer.measure(model)
    others = [replace(model, name="other", weights_key="ema"), Variant.parse("mean").of(model)]
    others += [replace(model, name="tagged", architecture="test_vit.r160_in1k")]
    assert all(map(speedometer.stored, others))
    assert not any(map(speedometer.stored, (Variant.parse(text).of(model) for text in ("64", "block2"))))
    for changed in ({"precision": "bf16"}, {"finetune_precision": "bf16"}, {"finetune_batch": 16}):
        assert replace(speedometer, **changed).stored(model) is None  # type: ignore[arg-type]


def test_a_damaged_record_is_measured_again(speedometer: Speedometer, embedded: Embedded, store: Store) -> None:
    model = embedded("test_resnet.drawn_long")
    speedometer.measure(model)
    (path,) = (store.root / "cache" / "speeds").iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    assert speedometer.stored(model) is None


def test_measuring_leaves_random_numbers_and_threads_alone(speedometer: Speedometer, embedded: Embedded) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    speedometer.measure(embedded("test_resnet.drawn_long"))
    torch.testing.assert_close(torch.rand(2), expected, rtol=0, atol=0)
    assert torch.get_num_threads() == threads


def test_memory_of_a_forward_pass_is_that_of_its_weights_and_living_tensors() -> None:
    layers = nn.Sequential(nn.Linear(100, 1000, bias=False), nn.Linear(1000, 10, bias=False))
    images = torch.zeros(8, 100)
    with torch.inference_mode(), peak_memory(CPU, [*layers.parameters(), images]) as peak:
        layers(images)
    assert peak() == 4 * (100 * 1000 + 1000 * 10 + 8 * 100 + 8 * 1000 + 8 * 10)


def test_memory_that_was_freed_is_not_counted() -> None:
    with peak_memory(CPU, []) as peak:
        for _ in range(3):
            tensor = torch.zeros(1000)
            del tensor
    assert peak() == 4000


def test_fine_tuning_needs_weights_gradients_and_two_moments_beside_what_images_need(
    speedometer: Speedometer, embedded: Embedded
) -> None:
    model = embedded("test_vit.drawn_long")
    parameters = 4 * sum(parameter.numel() for parameter in speed.build_without_weights(model).parameters())
    few, many = (replace(speedometer, finetune_batch=count).measure(model).finetune_memory for count in (8, 16))
    assert few
    assert many
    assert few > 3 * parameters  # the classifier, which is no part of the embedding, needs no gradient
    assert few < many < 2 * few


def test_a_small_step_predicts_the_memory_of_a_larger_one(
    speedometer: Speedometer, embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = embedded("test_convnext.noise")
    predicted = replace(speedometer, finetune_batch=16).measure(model).finetune_memory
    monkeypatch.setattr(speed, "SMALL", (16, 18))
    measured = replace(speedometer, finetune_batch=16).measure(model).finetune_memory
    assert predicted == pytest.approx(measured, rel=0.02)


def test_memory_that_runs_out_ends_the_search_for_the_fastest_batch(
    speedometer: Speedometer, custom: Callable[..., ModelRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "BATCHES", {"cpu": 32})
    assert speedometer.measure(custom(most=2)).batch <= 2


def test_a_model_that_cannot_be_trained_has_no_memory_of_fine_tuning(
    speedometer: Speedometer, custom: Callable[..., ModelRef]
) -> None:
    assert speedometer.measure(custom("frozen")).finetune_memory is None


def test_a_model_without_room_for_one_image_is_an_error(speedometer: Speedometer, custom: Callable[..., ModelRef]) -> None:
    with pytest.raises(ModelError, match="memory runs out with a single image"):
        speedometer.measure(custom(most=0))
