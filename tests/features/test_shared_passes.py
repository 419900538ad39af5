"""Variants share a forward pass; models share a pass over the images where decoded images cannot be kept."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from itm.core.errors import DataError, ModelError
from itm.core.params import Params
from itm.core.sections import DataParams, ExtractParams
from itm.core.types import DataRef, Features, ModelRef
from itm.core.variants import Variant
from itm.core.yaml_records import parse
from itm.data.ingest import ingest
from itm.data.pixels import open_verified
from itm.features import decode
from itm.features import shared_passes as passes
from itm.features.extract import extract_together
from itm.features.extractors import Extractor, forward_passes
from itm.features.shared_passes import shared_passes
from itm.store.feature_file import read_embeddings
from itm.store.layout import Store
from itm.zoo import load

Embedded = Callable[[str], ModelRef]


def variants(model: ModelRef, *texts: str) -> list[ModelRef]:
    return [model, *(Variant.parse(text).of(model) for text in texts)]


def together(models: list[ModelRef], data: DataRef, store: Store, **params: object) -> list[Features]:
    found = extract_together(models, data, ("train", "val"), ExtractParams.model_validate(params), store)
    assert all(isinstance(one, Features) for one in found), found
    return [one for one in found if isinstance(one, Features)]


def embeddings(features: Features) -> np.ndarray:
    return read_embeddings(features.path)[0]


def numbers(models: list[ModelRef], data: DataRef, store: Store, workers: int = 1, **extract: object) -> list[int]:
    params = parse({"extract": extract, "runner": {"workers": workers}}, Params, "test")
    found = shared_passes([(model, data) for model in models], params, store).numbers
    return [found[model.name, data.name] for model in models]


def assert_same_as_alone(found: list[Features], models: list[ModelRef], data: DataRef, store: Store) -> None:
    """Check features against those that each model computes alone."""
    for model, features in zip(models, found, strict=True):
        before = embeddings(features)
        (alone,) = together([model], data, store, resume="always")
        assert alone.key == features.key
        np.testing.assert_array_equal(before, embeddings(alone))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the images that are decoded from now on."""
    paths: list[str] = []

    def counted(path: str, *arguments: Any) -> Image.Image:
        paths.append(path)
        return open_verified(path, *arguments)

    monkeypatch.setattr(decode, "open_verified", counted)
    return paths


def test_variants_computed_together_are_those_computed_alone(embedded: Embedded, shapes: DataRef, store: Store) -> None:
    models = variants(embedded("test_vit.drawn_long"), "mean", "token+mean", "block2", "block2@mean")
    assert_same_as_alone(together(models, shapes, store), models, shapes, store)


def test_variants_of_a_convolutional_network_are_those_computed_alone(
    embedded: Embedded, shapes: DataRef, store: Store
) -> None:
    models = variants(embedded("test_resnet.drawn_long"), "block3")
    assert_same_as_alone(together(models, shapes, store), models, shapes, store)


def test_tokens_are_computed_once_for_all_variants(embedded: Embedded) -> None:
    models = variants(embedded("test_vit.drawn_long"), "mean", "block2")
    (shared,), errors = forward_passes(map(Extractor, models))
    blocks: list[int] = []
    for block in shared.module.blocks:  # type: ignore[union-attr]
        block.register_forward_hook(lambda *_: blocks.append(1))  # type: ignore[union-attr]
    with torch.inference_mode():
        shared(torch.zeros(1, 3, 64, 64))
    assert (len(blocks), errors) == (len(shared.module.blocks), {})  # type: ignore[arg-type]


def test_a_variant_that_there_is_not_stops_no_other(embedded: Embedded, shapes: DataRef, store: Store) -> None:
    models = variants(embedded("test_vit.drawn_long"), "mean", "block99", "token")
    found = extract_together(models, shapes, ("train",), ExtractParams(), store)
    assert [type(one) for one in found] == [Features, Features, ModelError, ModelError]
    assert "has 6 blocks" in str(found[2])


def test_a_model_that_fails_stops_no_other(
    custom: Callable[..., ModelRef], embedded: Embedded, shapes: DataRef, store: Store
) -> None:
    sized = replace(custom(breaks=True), preprocessing=embedded("test_resnet.drawn_long").preprocessing)
    models = [embedded("test_resnet.drawn_long"), sized, embedded("test_resnet.drawn_short")]
    found = extract_together(models, shapes, ("train",), ExtractParams(), store)
    assert [type(one) for one in found] == [Features, ModelError, Features]
    assert "the forward pass failed: KeyError: 'no such layer'" in str(found[1])


def test_without_a_cache_each_image_is_decoded_once_for_all_models(
    embedded: Embedded, shapes: DataRef, store: Store, opened: list[str]
) -> None:
    models = [embedded("test_resnet.drawn_long"), embedded("test_byobnet.shapes"), embedded("test_resnet.drawn_short")]
    found = together(models, shapes, store, decoded="off")
    assert len(opened) == len(set(opened)) == found[0].rows
    assert_same_as_alone(found, models, shapes, store)


def test_models_with_other_means_share_a_pass(embedded: Embedded, shapes: DataRef, store: Store) -> None:
    plain = embedded("test_resnet.drawn_long")
    models = [plain, replace(plain, name="dark", preprocessing=replace(plain.preprocessing, mean=(0.1, 0.2, 0.3)))]
    assert len(set(numbers(models, shapes, store, decoded="off"))) == 1
    assert_same_as_alone(together(models, shapes, store, decoded="off"), models, shapes, store)


def test_models_share_a_pass_only_where_decoded_images_cannot_be_kept(
    embedded: Embedded, shapes: DataRef, store: Store
) -> None:
    models = [embedded(f"test_resnet.{name}") for name in ("drawn_long", "drawn_short")]
    other = embedded("test_efficientnet.textures")  # of another geometry
    assert len(set(numbers([*models, other], shapes, store))) == 3
    first, second, third = numbers([*models, other], shapes, store, decoded="off")
    assert first == second != third
    first, second, third = numbers([*models, other], shapes, store, decoded=60 * 3 * 48 * 48)  # room for the first geometry
    assert len({first, second, third}) == 3


def test_every_worker_gets_models(embedded: Embedded, shapes: DataRef, store: Store) -> None:
    plain = embedded("test_resnet.drawn_long")
    models = [replace(plain, name=f"m{n}", arguments={"num_classes": 32, "drop_rate": n / 100}) for n in range(8)]
    found = numbers(models, shapes, store, workers=3, decoded="off")
    assert [found.count(number) for number in sorted(set(found))] == [3, 3, 2]


def test_models_that_do_not_fit_into_memory_together_have_passes_of_their_own(
    embedded: Embedded, shapes: DataRef, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [embedded(f"test_resnet.{name}") for name in ("drawn_long", "drawn_short")]
    monkeypatch.setattr(passes, "_memory", lambda _: 1000)
    assert len(set(numbers(models, shapes, store, decoded="off"))) == 2


def test_an_error_while_one_model_is_built_stops_no_other(
    embedded: Embedded, shapes: DataRef, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = load.build

    def failing(model: ModelRef) -> torch.nn.Module:
        if model.name.endswith("long"):
            raise RuntimeError("no memory")
        return build(model)

    monkeypatch.setattr(load, "build", failing)
    models = [embedded(f"test_resnet.{name}") for name in ("drawn_long", "drawn_short")]
    found = extract_together(models, shapes, ("train",), ExtractParams(), store)
    assert [type(one) for one in found] == [RuntimeError, Features]


def test_numbers_do_not_travel_to_workers(embedded: Embedded, shapes: DataRef, store: Store) -> None:
    params = parse({"runner": {"kind": "inline"}}, Params, "test")
    found = shared_passes([(embedded("test_resnet.drawn_long"), shapes)], params, store)
    sent = pickle.loads(pickle.dumps(found))
    assert (len(found.numbers), sent.numbers, sent.configs) == (1, {}, found.configs)


def test_an_image_that_changed_fails_all_models_of_the_pass(tmp_path: Path, embedded: Embedded, store: Store) -> None:
    for number in range(8):
        path = tmp_path / "images" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (number, 0, 0)).save(path)
    data = ingest(f"folder:{tmp_path / 'images'}", DataParams(), store)
    path.write_bytes(b"other")
    with pytest.raises(DataError, match=path.name):
        together(variants(embedded("test_vit.drawn_long"), "mean"), data, store)
