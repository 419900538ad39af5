"""Embeddings are right however they were computed, and whatever goes wrong on the way is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from itm.core.errors import DataError, ModelError, ParamsError
from itm.core.sections import DataParams
from itm.core.types import Features
from itm.data.index import read_index
from itm.data.ingest import ingest
from itm.store import feature_file
from itm.store.feature_file import read_description, read_embeddings
from itm.zoo.load import build

pytestmark = pytest.mark.slow


def embeddings_of(features: Features) -> np.ndarray:
    return read_embeddings(features.path)[0]


def test_embeddings_are_what_timm_gives_for_these_images(run, resnet, shapes):
    features = run(resnet)
    rows = read_index(shapes).filter(status="ok")
    rows = rows.filter(rows["split"].is_in(["train", "val"]))
    embeddings, targets, ids = read_embeddings(features.path)
    assert ids == rows["id"].to_list()
    assert [shapes.target.names[target] for target in targets] == rows["target"].to_list()
    assert features.rows == len(ids) == 50
    module = build(resnet)
    pixels = np.asarray(Image.open(rows["path"][7]).convert("RGB"), dtype=np.float32) / 255
    image = torch.from_numpy((pixels - 0.5) / 0.25).permute(2, 0, 1)[None]  # drawn 48 pixels wide, as the model wants them
    with torch.inference_mode():
        expected = module.forward_head(module.forward_features(image), pre_logits=True)
        logits = module(image)
    np.testing.assert_allclose(embeddings[7], expected[0], atol=1e-4)
    table = pq.read_table(features.path)
    np.testing.assert_allclose(table["logits"][7].as_py(), logits[0], atol=1e-4)
    assert table["split"].to_pylist() == rows["split"].to_list()
    assert features.facts.width == embeddings.shape[1]
    assert features.images_per_second > 0


def test_batches_become_smaller_when_memory_runs_out(run, custom, caplog):
    whole = run(custom())
    halved = run(custom(most=8), batch_size=32)
    assert caplog.messages == [
        "mine on shapes-images60: memory ran out with 32 images at once, continuing with 16",
        "mine on shapes-images60: memory ran out with 16 images at once, continuing with 8",
    ]
    assert not halved.cached
    assert read_embeddings(halved.path)[2] == read_embeddings(whole.path)[2]
    np.testing.assert_allclose(embeddings_of(halved), embeddings_of(whole), atol=1e-5)


def test_a_model_too_large_for_one_image_says_so(run, custom):
    with pytest.raises(
        ModelError, match="mine on shapes-images60: memory runs out with a single image; take a smaller input_size"
    ):
        run(custom(most=0))


def test_an_error_in_a_model_is_a_model_error(run, custom):
    with pytest.raises(ModelError, match="mine on shapes-images60: the forward pass failed: KeyError: 'no such layer'"):
        run(custom(breaks=True))


def test_a_factory_without_a_head_gives_no_logits(run, custom):
    assert "logits" not in pq.read_table(run(custom()).path).column_names


def test_embeddings_that_are_not_finite_are_refused(run, reweighted, tmp_path):
    with pytest.raises(ModelError, match=r"50 of 50 rows of embedding are not finite, the first is .*\.png; the checkpoint"):
        run(reweighted(float("nan")))
    assert not list(tmp_path.rglob("*drawn_short*.parquet"))


def test_images_that_changed_after_ingest_are_named(run, resnet, shapes):
    rows = read_index(shapes).filter(split="train")
    first, second = (Path(path) for path in rows["path"][3:5])
    second.unlink()
    with pytest.raises(DataError, match=rf"{second.name} can no longer be read .*; ingest again"):
        run(resnet)
    Image.new("RGB", (48, 48)).save(first)
    with pytest.raises(DataError, match=rf"{first.name} changed after it was ingested; ingest again"):
        run(resnet)


def test_the_batch_size_does_not_changeembeddings_of(run, resnet):
    seven = embeddings_of(run(resnet, batch_size=7))
    np.testing.assert_allclose(embeddings_of(run(resnet, resume="always")), seven, atol=1e-5)


@pytest.mark.slow
def test_decoding_in_worker_processes_changes_nothing(run, resnet, shapes):
    here = run(resnet, decode_workers=0, decoded="off")
    expected = read_embeddings(here.path)
    found = read_embeddings(run(resnet, decode_workers=2, batch_size=10, decoded="off", resume="always").path)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    assert found[2] == expected[2]
    path = Path(read_index(shapes).filter(split="train")["path"][20])
    path.write_bytes(b"other")
    with pytest.raises(DataError) as caught:
        run(resnet, decode_workers=1, decoded="off", resume="always")
    assert str(caught.value) == f"{path} changed after it was ingested; ingest again."


def test_large_outputs_are_kept_in_files(run, resnet, monkeypatch):
    small = pq.read_table(run(resnet).path)
    monkeypatch.setattr(feature_file, "IN_MEMORY", 1000)
    large = pq.read_table(run(resnet, resume="always").path)
    assert large.equals(small)


def test_the_second_model_opens_no_image(run, resnet, custom, shapes):
    first = run(resnet)
    for path in read_index(shapes)["path"]:
        Path(path).write_bytes(b"other")
    assert embeddings_of(run(resnet, resume="always")).tobytes() == embeddings_of(first).tobytes()
    other = custom()
    with pytest.raises(DataError, match="changed after it was ingested"):  # another size is decoded
        run(replace(other, preprocessing=replace(other.preprocessing, input_size=64)))


def test_half_precision_is_close(run, resnet):
    exact, rough = embeddings_of(run(resnet)), embeddings_of(run(resnet, precision="bf16"))
    cosine = (exact * rough).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rough, axis=1)
    assert rough.dtype == np.float32
    assert cosine.min() > 0.99
    assert not np.array_equal(exact, rough)


def test_splits_without_an_image_are_an_error(run, resnet, store):
    data = ingest("all=synthetic:shapes?images=20", DataParams(splits={"train": 1.0}), store)
    with pytest.raises(DataError, match=r"all has no image in test; change score\.splits"):
        run(resnet, data=data, splits=("test",))


@pytest.mark.parametrize("name", ["cuda:9", "graphics"])
def test_a_device_that_is_not_there_is_a_parameter_error(run, resnet, name):
    with pytest.raises(ParamsError, match=rf"extract\.device is '{name}', which cannot be used here .*; use 'auto' or 'cpu'"):
        run(resnet, device=name)


def test_grey_rectangles_are_extracted_by_worker_processes(run, grey_rectangles):
    here, elsewhere = (run(grey_rectangles, decode_workers=n, decoded="off", resume="always") for n in (0, 1))
    assert here.facts.input_size == "48 x 32"
    assert read_description(here.path)[0].facts == here.facts
    assert np.array_equal(embeddings_of(here), embeddings_of(elsewhere))
    assert embeddings_of(here).std(axis=0).mean() > 0
