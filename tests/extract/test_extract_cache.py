"""Embeddings are kept under a key of everything that could change them, and found again by it."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from itm.core.errors import StoreError
from itm.core.sections import DataParams
from itm.core.types import Features, ModelRef
from itm.data.index import read_index
from itm.data.ingest import ingest
from itm.features import extract as extraction
from itm.store.feature_file import read_embeddings


def embeddings_of(features: Features) -> np.ndarray:
    return read_embeddings(features.path)[0]


def _other_mean(model: ModelRef) -> ModelRef:
    return replace(model, preprocessing=replace(model.preprocessing, mean=(0.4, 0.5, 0.6)))


def _other_size(model: ModelRef) -> ModelRef:
    return replace(model, preprocessing=replace(model.preprocessing, input_size=64))


def test_a_second_call_reads_the_cache(run, resnet):
    """Nothing is computed or written again when nothing changed, whatever the batch size and the decoding processes."""
    first = run(resnet)
    written = first.path.stat().st_mtime_ns
    assert not first.cached
    assert run(resnet) == replace(first, cached=True)
    assert run(resnet, batch_size=5, decode_workers=0) == replace(first, cached=True)
    assert first.path.stat().st_mtime_ns == written
    assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]


def test_whatever_could_change_embeddings_computes_them_again(run, resnet, reweighted, monkeypatch):
    """Another transform, checkpoint, precision, choice of splits or version of this code has a file of its own."""
    first = run(resnet)
    others = [run(_other_mean(resnet)), run(_other_size(resnet)), run(reweighted(0.01))]
    others += [run(resnet, precision="bf16"), run(resnet, splits=("train",))]
    monkeypatch.setattr(extraction, "EXTRACTOR", extraction.EXTRACTOR + 1)
    others.append(run(resnet))
    assert not any(features.cached for features in others)
    assert len({features.path for features in (first, *others)}) == 7
    monkeypatch.undo()
    assert run(resnet) == replace(first, cached=True)


def test_another_image_computes_embeddings_again(run, resnet, tmp_path, shapes, store):
    """One image with other bytes, ingested again, makes another data set and another file."""
    folder = tmp_path / "images"
    for row in read_index(shapes).iter_rows(named=True):
        copy = folder / row["class_name"] / Path(row["path"]).name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(Path(row["path"]).read_bytes())
    before = run(resnet, data=ingest(str(folder), DataParams(), store))
    with copy.open("ab") as stream:
        stream.write(b"one byte more")
    after = run(resnet, data=ingest(str(folder), DataParams(), store))
    assert before.data_hash != after.data_hash
    assert not after.cached


def test_the_code_and_the_function_of_a_factory_are_part_of_the_key(run, custom, tmp_path):
    """Editing the file of a custom model or naming another function of it computes again; moving the file does not."""
    first = run(custom())
    assert not run(custom("wide")).cached
    moved = tmp_path / "moved.py"
    moved.write_text((tmp_path / "models.py").read_text())
    assert run(replace(custom(), factory=f"{moved}:small")) == replace(first, cached=True)
    moved.write_text(moved.read_text().replace("x.mean((2, 3))", "x.amax((2, 3))"))
    edited = run(replace(custom(), factory=f"{moved}:small"))
    assert not edited.cached
    assert not np.allclose(embeddings_of(edited), embeddings_of(first))


def test_the_four_words_of_resume(run, resnet):
    """Always computes, only-missing and never read what is there, only-cache never computes."""
    with pytest.raises(StoreError, match=r"test_resnet\.drawn_short on shapes-images60 has no stored features"):
        run(resnet, resume="only-cache")
    first = run(resnet, resume="never")
    assert not first.cached
    for resume in ("only-cache", "never", "only-missing"):
        assert run(resnet, resume=resume).cached
    os.utime(first.path, ns=(0, 0))
    again = run(resnet, resume="always")
    assert (again.path, again.cached) == (first.path, False)
    assert first.path.stat().st_mtime_ns > 0
    np.testing.assert_array_equal(embeddings_of(again), embeddings_of(first))


def test_never_also_takes_another_version_of_the_same_features(run, resnet, reweighted, monkeypatch):
    """Of older versions the newest is taken, but only for the same weights, images and splits, and only when asked."""
    oldest = run(resnet)
    monkeypatch.setattr(extraction, "EXTRACTOR", 98)
    older = run(resnet)
    os.utime(oldest.path, ns=(0, 0))
    monkeypatch.setattr(extraction, "EXTRACTOR", 99)
    assert run(resnet, resume="never") == replace(older, cached=True)
    assert not run(reweighted(0.01), resume="never").cached
    val, test = (run(resnet, splits=(split,), resume="never") for split in ("val", "test"))
    assert val.rows == test.rows  # alike in number, not in kind
    assert not test.cached
    with pytest.raises(StoreError):
        run(resnet, resume="only-cache")
    assert not run(resnet).cached


def test_a_damaged_feature_file_is_computed_again(run, resnet, caplog):
    """A file that was cut is told of and replaced by one with the same embeddings."""
    first = run(resnet)
    embeddings = embeddings_of(first)
    first.path.write_bytes(first.path.read_bytes()[:-100])
    again = run(resnet)
    assert (again.path, again.cached) == (first.path, False)
    assert "is damaged" in caplog.text
    np.testing.assert_array_equal(embeddings_of(again), embeddings)
