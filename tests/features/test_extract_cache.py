"""Embeddings are kept under a key of everything that could change them, and found again by it."""

import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from itm.core.errors import StoreError
from itm.core.keys import content_key
from itm.core.sections import DataParams, ExtractParams
from itm.core.types import Features, ModelRef
from itm.data.index import read_index
from itm.data.ingest import ingest
from itm.features import identity
from itm.features.extractors import Extractor
from itm.store.feature_file import read_embeddings

pytestmark = pytest.mark.slow


def embeddings_of(features: Features) -> np.ndarray:
    return read_embeddings(features.path)[0]


def _other_mean(model: ModelRef) -> ModelRef:
    return replace(model, preprocessing=replace(model.preprocessing, mean=(0.4, 0.5, 0.6)))


def _other_size(model: ModelRef) -> ModelRef:
    return replace(model, preprocessing=replace(model.preprocessing, input_size=64))


def test_a_second_call_reads_the_cache(run, resnet):
    first = run(resnet)
    written = first.path.stat().st_mtime_ns
    assert not first.cached
    assert run(resnet) == replace(first, cached=True)
    assert run(resnet, batch_size=5, decode_workers=0) == replace(first, cached=True)
    assert first.path.stat().st_mtime_ns == written
    assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]


def test_the_same_images_under_another_name_are_not_extracted_again(run, resnet, shapes, store, tmp_path):
    first = run(resnet)
    rows = [f"{row['path']},{row['target']}" for row in read_index(shapes).iter_rows(named=True)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    root = Path(rows[0].partition(",")[0]).parents[1]
    listed = ingest(f"csv:{tmp_path}/list.csv?root={root}", DataParams(), store)
    assert (listed.name, listed.hash) == ("list", shapes.hash)
    assert run(resnet, data=listed) == replace(first, data="list", cached=True)


def test_whatever_could_change_embeddings_computes_them_again(run, resnet, reweighted, monkeypatch):
    first = run(resnet)
    others = [run(_other_mean(resnet)), run(_other_size(resnet)), run(reweighted(0.01))]
    others += [run(resnet, precision="bf16"), run(resnet, splits=("train",))]
    monkeypatch.setattr(identity, "EXTRACTOR", identity.EXTRACTOR + 1)
    others.append(run(resnet))
    assert not any(features.cached for features in others)
    assert len({features.path for features in (first, *others)}) == 7
    monkeypatch.undo()
    assert run(resnet) == replace(first, cached=True)


def test_another_image_computes_embeddings_again(run, resnet, tmp_path, shapes, store):
    folder = tmp_path / "images"
    for row in read_index(shapes).iter_rows(named=True):
        copy = folder / row["target"] / Path(row["path"]).name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(Path(row["path"]).read_bytes())
    before = run(resnet, data=ingest(str(folder), DataParams(), store))
    with copy.open("ab") as stream:
        stream.write(b"one byte more")
    after = run(resnet, data=ingest(str(folder), DataParams(), store))
    assert before.data_hash != after.data_hash
    assert not after.cached


def test_the_code_and_the_function_of_a_factory_are_part_of_the_key(run, custom, tmp_path):
    first = run(custom())
    assert not run(custom("wide")).cached
    moved = tmp_path / "moved.py"
    moved.write_text((tmp_path / "models.py").read_text())
    assert run(replace(custom(), factory=f"{moved}:small")) == replace(first, cached=True)
    moved.write_text(moved.read_text().replace("x.mean((2, 3))", "x.amax((2, 3))"))
    edited = run(replace(custom(), factory=f"{moved}:small"))
    assert not edited.cached
    assert not np.allclose(embeddings_of(edited), embeddings_of(first))


def test_the_words_of_resume(run, resnet):
    with pytest.raises(StoreError, match=r"test_resnet\.drawn_short on shapes-images60 has no stored features"):
        run(resnet, resume="only-cache")
    first = run(resnet)
    assert not first.cached
    for resume in ("only-cache", "only-missing"):
        assert run(resnet, resume=resume).cached
    os.utime(first.path, ns=(0, 0))
    again = run(resnet, resume="always")
    assert (again.path, again.cached) == (first.path, False)
    assert first.path.stat().st_mtime_ns > 0
    np.testing.assert_array_equal(embeddings_of(again), embeddings_of(first))


def test_a_damaged_feature_file_is_computed_again(run, resnet, caplog):
    first = run(resnet)
    embeddings = embeddings_of(first)
    first.path.write_bytes(first.path.read_bytes()[:-100])
    again = run(resnet)
    assert (again.path, again.cached) == (first.path, False)
    assert "is damaged" in caplog.text
    np.testing.assert_array_equal(embeddings_of(again), embeddings)


def test_key_has_the_weights_key_only_where_one_is_chosen(resnet, shapes):
    own, chosen = (
        Extractor(model).identity(shapes, ("train",), ExtractParams(), torch.device("cpu"))
        for model in (resnet, replace(resnet, weights_key="ema"))
    )
    facts = asdict(own)
    del facts["weights_key"], facts["block"], facts["library"], facts["patches"], facts["subset"]
    assert own.key == content_key(facts)
    assert chosen.key == content_key(facts | {"weights_key": "ema"})
