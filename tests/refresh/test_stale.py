"""What the next refresh would compute and why, told from a store that a real run filled."""

import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import polars as pl
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from itm.cli.commands import app
from itm.core.params import Params, with_overrides
from itm.features import identity
from itm.ranking.recommend import update_recommended
from itm.refresh.changes import options_key
from itm.refresh.history import standing, write_refresh
from itm.refresh.records import Refresh
from itm.refresh.stale import Stale, find_stale
from itm.run import pipeline
from itm.scores.library.knn import Knn
from itm.store.files import read_facts, write_table
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking

pytestmark = [pytest.mark.usefixtures("own_logger"), pytest.mark.slow]
MODELS = ("test_resnet.drawn_long", "test_vit.drawn_long")
ZOO = Path(__file__).resolve().parents[2] / "data" / "zoo"


def _entry(name: str, folder: Path) -> dict[str, object]:
    """Return a model's entry of the embedded zoo file with its checkpoint copied into `folder`."""
    entries = yaml.safe_load((ZOO / "zoo.yaml").read_text(encoding="utf-8"))["models"]
    (entry,) = [one for one in entries if one.get("name") == name]
    checkpoint = ZOO / entry["checkpoint"]
    shutil.copy(checkpoint, folder / checkpoint.name)
    return dict(entry) | {"checkpoint": checkpoint.name}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a zoo of two models, a folder of images, and a store in which both were ranked."""
    folder = tmp_path_factory.mktemp("filled")
    (folder / "zoo.yaml").write_text(yaml.safe_dump({"models": [_entry(name, folder) for name in MODELS]}), encoding="utf-8")
    for number in range(24):
        path = folder / "petals" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 40), 20 + 60 * (number % 2) + number).convert("RGB").save(path)
    pipeline.run(asked(folder), Store(folder / "store"))
    return folder


def asked(folder: Path) -> Params:
    """Return the parameters of the first run."""
    return Params.model_validate(
        {
            "data": {"sets": [f"folder:{folder / 'petals'}"]},
            "zoo": {"file": folder / "zoo.yaml", "models": ["*"]},
            "score": {"names": ["knn"], "rank_by": "knn"},
            "extract": {"device": "cpu"},
            "track": {"uri": None},
            "runner": {"kind": "inline"},
            "store": folder / "store",
        }
    )


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    """Return a copy of that folder, where its images still lie in the first, which nobody may change."""
    shutil.copytree(filled, tmp_path / "own")
    return tmp_path / "own"


def stale(folder: Path, params: Params, last: Refresh | None = None) -> Stale:
    """Return what is stale, having found that the store is what it was."""
    before = _files(folder / "store")
    found = find_stale(params, Store(folder / "store"), last)
    assert _files(folder / "store") == before
    return found


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def causes(found: Stale) -> dict[str, int]:
    """Return how many pairs each cause has."""
    return {cause.text: len(cause.pairs) for cause in found.causes}


def record(folder: Path, number: int = 1) -> Refresh:
    """Return the record of a refresh that came to what is ranked in the store."""
    ranking = read_ranking(Store(folder / "store"))
    standings = tuple(standing(data, data.rows[0].model) for data in ranking.data_sets)
    return Refresh(number, f"2026-03-0{number}T02:00:00+00:00", options_key(ranking), standings, steps={"extract": 2.0})


def test_nothing_is_stale_after_a_run(filled: Path) -> None:
    assert stale(filled, asked(filled)) == Stale(2, (), (), {})


def test_new_models_and_changed_weights(folder: Path, filled: Path) -> None:
    params = with_overrides(asked(filled), zoo={"file": folder / "zoo.yaml"})
    zoo = yaml.safe_load((folder / "zoo.yaml").read_text(encoding="utf-8"))
    zoo["models"].append(zoo["models"][0] | {"name": "test_resnet.again"})
    (folder / "zoo.yaml").write_text(yaml.safe_dump(zoo), encoding="utf-8")
    with (folder / zoo["models"][1]["checkpoint"]).open("ab") as checkpoint:
        checkpoint.write(b" ")
    found = stale(folder, params)
    assert (found.pairs, found.count, causes(found)) == (3, 2, {"new": 1, "weights changed": 1})
    assert {cause.text: cause.pairs for cause in found.causes}["new"] == (("test_resnet.again", "petals"),)
    (folder / zoo["models"][1]["checkpoint"]).unlink()
    (missing,) = stale(folder, params).left_out
    assert missing.pairs == ((MODELS[1], "petals"),)


def test_preprocessing_and_options_are_told_apart(filled: Path) -> None:
    params = asked(filled)
    assert causes(stale(filled, with_overrides(params, score={"splits": ("train",)}))) == {"splits train+val -> train": 2}
    both = with_overrides(params, score={"splits": ("train",)}, extract={"precision": "bf16"})
    assert causes(stale(filled, both)) == {"precision fp32 -> bf16, splits train+val -> train": 2}


def test_another_input_size_is_preprocessing(folder: Path, filled: Path) -> None:
    zoo = yaml.safe_load((folder / "zoo.yaml").read_text(encoding="utf-8"))
    zoo["models"][0]["input_size"] = 32
    (folder / "zoo.yaml").write_text(yaml.safe_dump(zoo), encoding="utf-8")
    found = stale(folder, with_overrides(asked(filled), zoo={"file": folder / "zoo.yaml"}))
    assert causes(found) == {"preprocessing changed": 1}


def test_versions_are_told(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, version = identity.package_versions(), Knn.info.version
    monkeypatch.setattr(identity, "package_versions", lambda: real | {"torch": "99.0"})
    assert causes(stale(filled, asked(filled))) == {f"torch {real['torch']} -> 99.0": 2}
    monkeypatch.undo()
    monkeypatch.setattr(Knn, "info", replace(Knn.info, version=99))
    assert causes(stale(filled, asked(filled))) == {f"scores: version of knn {version} -> 99": 2}


def test_scores_are_new_or_have_other_options(filled: Path) -> None:
    params = asked(filled)
    more = with_overrides(params, score={"names": ("knn", "logme")})
    assert causes(stale(filled, more)) == {"score logme is new": 2}
    dealt = with_overrides(params, score={"folds": 4})
    assert causes(stale(filled, dealt)) == {"scores: folds 5 -> 4": 2}
    options = with_overrides(params, score={"options": {"knn": {"neighbours": 3}}})
    assert causes(stale(filled, options)) == {"scores: options of knn changed": 2}


def test_failures_of_the_last_refresh_are_tried_again(folder: Path, filled: Path) -> None:
    files = sorted((folder / "store" / "cache" / "features").rglob("*.parquet"))
    files[0].unlink()
    files[1].write_bytes(b"damaged")
    last = record(folder)
    place = replace(last.standings[0].places[0], model=MODELS[0], rank=None, value=None, reason="extract: out of memory")
    failed = replace(last, standings=(replace(last.standings[0], places=(place,)),))
    found = stale(folder, asked(filled), failed)
    assert causes(found) == {"failed last time: extract: out of memory": 1, "its stored embeddings are damaged": 1}


def test_data_sets_that_look_changed(folder: Path, filled: Path) -> None:
    own = with_overrides(asked(filled), data={"sets": (f"folder:{folder / 'petals'}",)})
    store = Store(folder / "store")
    index = pl.read_parquet(store.index("petals"))
    renamed = pl.col("path").str.replace(str(filled), str(folder), literal=True)
    write_table(store.index("petals"), index.with_columns(renamed), read_facts(store.index("petals")))
    assert stale(folder, own).data == {}
    images = sorted((folder / "petals").rglob("*.png"))
    shutil.copy(images[0], images[0].with_name("more.png"))
    images[1].unlink()
    later = store.index("petals").stat().st_mtime + 10
    os.utime(images[2], (later, later))
    found = stale(folder, own)
    change = "1 file new, 1 file gone, 1 file newer than its index; the next refresh finds out whether its images changed"
    assert (found.data, found.count) == ({"petals": change}, 0)
    sampled = stale(folder, with_overrides(own, data={"max_images": 20})).data
    assert sampled["petals"].startswith("files with other names, 1 file gone, 1 file newer than its index;")
    assert sampled["all data sets"].startswith("data.max_images changed since the last ranking")
    index.filter(pl.col("target") == "class0").write_parquet(store.index("petals"))
    assert causes(stale(folder, own)) == {"images changed": 2}
    store.index("petals").unlink()
    unread = stale(folder, own)
    assert (causes(unread), unread.data) == ({"images were never read": 2}, {"petals": "images were never read"})


def test_models_that_cannot_be_ranked_are_left_out(filled: Path) -> None:
    found = stale(filled, with_overrides(asked(filled), zoo={"models": ("test_resnet.drawn_lang",)}))
    assert (found.pairs, found.count, len(found.left_out)) == (0, 0, 1)
    assert "did you mean 'test_resnet.drawn_long'" in found.left_out[0].text
    limited = stale(filled, with_overrides(asked(filled), limits={"max_models": 1}))
    assert (limited.pairs, limited.left_out[0].pairs) == (1, ((MODELS[1], "petals"),))


@pytest.fixture
def status(folder: Path, filled: Path) -> Iterator[list[str]]:
    """Yield the arguments of `itm status` on the copied store."""
    params = with_overrides(asked(filled), score={"folds": 4}).model_copy(update={"store": folder / "store"})
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(params.model_dump(mode="json")), encoding="utf-8")
    level = logging.getLogger("itm.ranking.scoring").level
    yield ["status", "--params", str(path)]
    assert logging.getLogger("itm.ranking.scoring").level == level


def test_the_command_before_the_first_refresh(status: list[str]) -> None:
    done = CliRunner().invoke(app, status)
    assert done.exit_code == 0
    assert "There is no refresh yet" in done.output
    assert f"2 pairs: scores: folds 5 -> 4 ({MODELS[0]} and {MODELS[1]} on petals)" in done.output


def test_the_command_after_some(status: list[str], folder: Path) -> None:
    store = Store(folder / "store")
    first = record(folder)
    other = replace(first.standings[0], recommended=first.standings[0].places[1].model)
    second = replace(record(folder, 2), standings=(other,), problems=("not tracked: nobody answers",))
    for one in (first, second):
        write_refresh(one, store)
    store.refresh(3).mkdir()
    update_recommended(read_ranking(store), store, within_noise=True)
    before = _files(folder / "store")
    done = CliRunner().invoke(app, [*status, "--last", "1"])
    assert _files(folder / "store") == before
    assert done.exit_code == 0
    row = next(line.split() for line in done.output.splitlines() if line.strip().startswith("2 "))
    assert row[:6] == ["2", "2026-03-02", "02:00", "UTC", "2.0", "s"]
    assert " ".join(row[-3:]) == f"{other.recommended} for petals"
    assert "Refresh 2: not tracked: nobody answers" in done.output
    assert "Refresh 3 has no record: it was interrupted, or is running." in done.output
    assert f"petals: {first.standings[0].winner} (first)" in done.output


def test_weights_that_are_not_here_are_not_fetched(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    found = stale(filled, with_overrides(asked(filled), zoo={"models": ("test_resnet.r160_in1k",)}))
    assert causes(found) == {"its weights are not on this machine yet": 1}
    assert not huggingface_hub.constants.HF_HUB_OFFLINE
