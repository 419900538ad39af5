"""Machines without a common disk exchange what they computed, and what it is computed from, through a URL."""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from itm.core.errors import StoreError
from itm.core.params import Params
from itm.core.sections import ScoreParams
from itm.core.yaml_records import parse
from itm.ranking.scoring import score
from itm.run import pipeline
from itm.run.engine import execute
from itm.run.executors import Inline
from itm.run.plan import plan
from itm.run.work import counts
from itm.store.feature_file import read_embeddings
from itm.store.layout import Store

MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures"]


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the environment lead to an address where nobody listens."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    S3FileSystem.clear_instance_cache()
    yield
    S3FileSystem.clear_instance_cache()


def parameters(images: Path, zoo_file: Path, store: Store) -> Params:
    """Return parameters of a small ranking."""
    values = {
        "data": {"sets": [f"folder:{images}"]},
        "zoo": {"file": zoo_file, "models": MODELS},
        "score": {"names": ["itm", "knn"]},
        "store": store.root,
        "shared": store.shared,
    }
    return parse(values, Params, "test")


def leave(*machines: Path) -> None:
    """Take away all that lies on some machines."""
    for machine in machines:
        shutil.rmtree(machine)


def test_what_one_machine_computed_another_finds(images, zoo_file, one, other, caplog):
    caplog.set_level(logging.INFO, "itm")
    pipeline.run(parameters(images, zoo_file, one), one)
    assert "extracted 2 pairs (0 cached), computed 4 scores (0 cached)" in caplog.text
    pipeline.run(parameters(images, zoo_file, other), other)
    assert "extracted 0 pairs (2 cached), computed 0 scores (4 cached)" in caplog.text
    assert one.scores.read_bytes() == other.scores.read_bytes()
    assert not list(other.root.rglob("*-*.parquet"))  # the embeddings themselves were not needed
    assert "WARNING" not in caplog.text


def test_a_worker_computes_on_images_that_only_the_driver_saw(images, zoo_file, one, other, tmp_path):
    alone = Store(tmp_path / "alone")
    params = parameters(images, zoo_file, one)
    pipeline.run(params, alone)
    planned = plan(params, one)
    images.rename(images.with_name("elsewhere"))
    (data,) = planned.data_sets
    data.index.unlink()
    outcomes = execute(planned, Inline(), other, params)
    assert "extracted 2 pairs (0 cached), computed 4 scores (0 cached), no failures" in counts(planned, outcomes)
    pipeline.conclude(planned, outcomes, params, one)
    assert one.scores.read_bytes() == alone.scores.read_bytes()


def test_workers_with_stores_elsewhere_hand_features_on(data, images, run, one, other, tmp_path, monkeypatch):
    images.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("ITM_STORE", str(other.root))
    made = run(data, one)
    assert made.path.is_relative_to(other.root)
    leave(other.root)
    monkeypatch.setenv("ITM_STORE", str(tmp_path / "third"))
    scores, failures = score(made, ScoreParams(names=("itm", "knn")), one)
    assert (len(scores), failures) == (2, ())
    assert len(list((tmp_path / "third" / "cache" / "features").rglob("*.parquet"))) == 1
    assert not (one.root / "cache" / "scores").exists()


def test_features_that_are_nowhere_fail_their_scores_in_words(data, run, one, other):
    made = run(data, replace(one, shared=None))
    leave(made.path.parent)
    scores, failures = score(made, ScoreParams(names=("itm", "knn")), other)
    assert (scores, len(failures)) == ((), 2)
    assert f"is not on this machine and not in {one.shared}" in failures[0].reason


def test_what_is_here_alone_is_sent_when_it_is_asked_for(data, run, one, other):
    run(data, replace(one, shared=None))
    assert run(data, one).cached
    assert run(data, other).cached


def test_a_truncated_object_is_computed_again_and_replaced(data, run, one, other, contents, caplog):
    made = run(data, one)
    contents.put(made.path.name, contents.get(made.path.name)[:-1000])
    again = run(data, other)
    assert not again.cached
    assert f"{one.shared}/cache/features" in caplog.text
    assert (read_embeddings(again.path)[0] == read_embeddings(made.path)[0]).all()
    assert contents.get(made.path.name) == again.path.read_bytes()


def test_bytes_that_changed_never_get_the_name(data, run, one, other, contents, caplog):
    made = run(data, one)
    changed = bytearray(contents.get(made.path.name))
    changed[len(changed) // 2] ^= 1
    contents.put(made.path.name, bytes(changed))
    assert not run(data, other).cached
    assert "counts as missing" in caplog.text


@pytest.mark.usefixtures("down")
def test_a_place_that_is_down_ends_a_run_before_any_work(images, zoo_file, one):
    with pytest.raises(StoreError, match=rf"^{one.shared}: cannot be reached .* check the network"):
        pipeline.run(parameters(images, zoo_file, one), one)
    assert not (one.root / "cache").exists()


def test_a_place_that_goes_down_is_a_warning(data, run, one, request, caplog):
    request.getfixturevalue("down")
    made = run(data, one)
    scores, failures = score(made, ScoreParams(names=("itm", "knn")), one)
    assert (made.cached, len(scores), failures) == (False, 2, ())
    assert caplog.text.count("cannot be reached") == 1
