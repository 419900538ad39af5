"""A store that was moved, linked, or ran out of space: results are found again, and what is finished is kept."""

import os
import resource
from pathlib import Path
from shutil import rmtree

import pytest
import yaml

from itm.core.errors import StoreError
from itm.core.params import Params
from itm.run import pipeline
from itm.store.layout import Store
from itm.store.ranking_file import page_path, read_ranking

pytestmark = pytest.mark.slow

MODEL = "test_resnet.drawn_long"


@pytest.fixture
def params(zoo_file: Path) -> Params:
    """Return parameters of a ranking of one model by one score."""
    return Params.model_validate(
        {
            "data": {"sets": ["synthetic:shapes?images=60"]},
            "zoo": {"file": zoo_file, "models": [MODEL]},
            "score": {"names": ["knn"], "rank_by": "knn"},
        }
    )


def test_a_store_that_was_moved_or_is_a_link_is_found_again(params, store, tmp_path, caplog):
    caplog.set_level("INFO", logger="itm")
    first = pipeline.run(params, store)
    moved, link = tmp_path / "elsewhere" / "moved", tmp_path / "link"
    moved.parent.mkdir()
    store.root.rename(moved)
    link.symlink_to(moved)
    for place in (moved, link):
        caplog.clear()
        assert pipeline.run(params, Store(place)) == first
        assert "extracted 0 pairs (1 cached), computed 0 scores (1 cached)" in caplog.text
    assert not store.root.exists()


def test_a_deleted_folder_costs_only_what_it_held(params, store, caplog):
    caplog.set_level("INFO", logger="itm")
    first = pipeline.run(params, store)
    for folder, words in [
        ("raw", "extracted 0 pairs (1 cached), computed 0 scores (1 cached)"),
        ("indexes", "extracted 0 pairs (1 cached), computed 0 scores (1 cached)"),
        ("scores", "extracted 0 pairs (1 cached), computed 0 scores (1 cached)"),
        ("cache/features", "extracted 1 pair (0 cached), computed 0 scores (1 cached)"),
    ]:
        store.root.joinpath(folder).rename(store.root.parent / folder.replace("/", "-"))
        caplog.clear()
        ranking = pipeline.run(params, store)
        assert [row.estimate for row in ranking.data_sets[0].rows] == [row.estimate for row in first.data_sets[0].rows]
        assert words in caplog.text, folder


def test_a_page_that_does_not_fit_loses_no_ranking(params, store):
    pipeline.run(params, store)
    size = page_path(store).stat().st_size
    rmtree(store.reports)
    rmtree(store.ranking.parent)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, hard))  # writing fails like on a full disk
    try:
        with pytest.raises(StoreError, match=r"html: cannot be written \(File too large\).* The ranking is stored: `itm show`"):
            pipeline.run(params, store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (data,) = read_ranking(store).data_sets
    assert [(row.model, row.status) for row in data.rows] == [(MODEL, "ranked")]
    assert not page_path(store).exists()


def test_files_from_the_future_are_used(params, store, caplog):
    caplog.set_level("INFO", logger="itm")
    first = pipeline.run(params, store)
    for path in store.root.rglob("*"):
        os.utime(path, (4e9, 4e9))
    assert pipeline.run(params, store) == first
    assert "extracted 0 pairs (1 cached)" in caplog.text
    assert read_ranking(store) == first


def test_a_checkpoint_in_a_folder_whose_name_is_no_text_fails_alone(params, store, zoo_file, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    good = next(model for model in yaml.safe_load(zoo_file.read_text())["models"] if model["name"] == MODEL)
    good |= {"checkpoint": str(zoo_file.parent / good["checkpoint"])}
    bad = [
        {"name": f"bad_{name}", "architecture": "test_resnet", "checkpoint": name} for name in ("none.pth", "empty.safetensors")
    ]
    (folder / "empty.safetensors").touch()
    (folder / "zoo.yaml").write_text(yaml.safe_dump({"models": [good, *bad]}))
    zoo = params.zoo.model_copy(update={"file": folder / "zoo.yaml", "models": ("*",)})
    (data,) = pipeline.run(params.model_copy(update={"zoo": zoo}), store).data_sets
    assert {row.model: row.status for row in data.rows} == {
        MODEL: "ranked",
        "bad_none.pth": "failed",
        "bad_empty.safetensors": "failed",
    }
    assert all(r"caf\udce9" in row.failures[0].reason for row in data.rows if row.failures)
