"""Splits and samples are balanced, seeded, and depend on nothing but the images."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from itm.core.errors import DataError
from itm.data.index import read_index
from itm.data.rows import Row
from itm.data.splits import assign_splits, largest_remainder, split_counts

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
REAL = Path(__file__).parents[2].parent / "shared" / "real" / "sets"


def _rows(sizes: dict[str, int]) -> list[Row]:
    return [
        Row(f"{name}/{number}.png", f"{name}/{number}.png", name, strata=(stratum,), id=f"{name}{number}")
        for stratum, (name, size) in enumerate(sizes.items())
        for number in range(size)
    ]


@pytest.mark.parametrize("trial", range(20))
def test_splits_depend_neither_on_order_nor_on_names(trial):
    rng = np.random.default_rng(trial)
    rows = _rows({f"class{c}": int(rng.integers(2, 40)) for c in range(6)})
    seed = int(rng.integers(1000))
    expected = {row.id: row.split for row in assign_splits(rows, SHARES, seed)}
    renamed = [
        replace(row, path=f"{rng.integers(10**9)}", relative="x") for row in rng.permutation(np.array(rows, dtype=object))
    ]
    assert {row.id: row.split for row in assign_splits(renamed, SHARES, seed)} == expected
    assert {row.id: row.split for row in assign_splits(rows, SHARES, seed + 1)} != expected


@pytest.mark.parametrize(
    "shares", [SHARES, {"train": 1.0}, {"train": 0.98, "val": 0.01, "test": 0.01}, {"train": 0.02, "val": 0.49, "test": 0.49}]
)
def test_every_class_is_in_every_split_that_has_a_share(shares):
    wanted = sum(share > 0 for share in shares.values())
    for images in range(2, 120):
        counts = split_counts(images, shares)
        assert sum(counts.values()) == images
        assert counts["train"] >= 1
        assert min(counts.values()) >= 0
        assert all(counts[split] == 0 for split in counts if not shares.get(split))
        if images >= wanted:
            assert all(counts[split] >= 1 for split, share in shares.items() if share > 0)
        if images >= 100:
            assert all(abs(counts[split] - images * share) < 2 for split, share in shares.items())


def test_the_largest_remainder_wins_and_ties_go_in_order():
    assert largest_remainder(10, {"a": 0.29, "b": 0.71}) == {"a": 3, "b": 7}
    assert largest_remainder(2, {"a": 1.0, "b": 1.0, "c": 1.0}) == {"a": 1, "b": 1, "c": 0}
    assert largest_remainder(100, {"a": 0.29, "b": 0.7, "c": 0.01}) == {"a": 29, "b": 70, "c": 1}


def test_a_set_without_splits_is_split_class_by_class(petals, take):
    index = read_index(take(petals, splits=SHARES))
    counts = Counter(index.select("target", "split").rows())
    assert counts == {(name, split): {"train": 6}.get(split, 2) for name in ("daisy", "rose") for split in SHARES}
    other = read_index(take(petals, splits=SHARES, seed=1))
    assert other["id"].to_list() == index["id"].to_list()
    assert other["split"].to_list() != index["split"].to_list()


def test_renamed_files_keep_their_split(petals, take):
    first = take(petals)
    before = dict(read_index(first).select("id", "split").rows())
    for path in list(petals.rglob("*.png")):
        path.rename(path.with_name(f"{99 - int(path.stem)}-renamed.png"))
    second = take(petals)
    assert dict(read_index(second).select("id", "split").rows()) == before
    assert second.hash == first.hash


def test_a_sample_is_balanced_and_opens_nothing_more(petals, paint, take, caplog):
    caplog.set_level("INFO")
    for number in range(100, 180):
        paint(petals / "daisy" / f"{number}.png", number)
    for number in range(5):
        (petals / "rose" / f"bad{number}.png").write_text(f"no image {number}")
    data = take(petals, max_images=16)
    index = read_index(data)
    good = index.filter(status="ok")
    assert Counter(good["target"]) == {"daisy": 8, "rose": 8}
    assert (data.images, len(index)) == (16, 16 + sum(data.rejected.values()))
    assert "petals: sampled 16 of 105 images" in caplog.messages
    assert Counter(take(petals, max_images=40).target.names) == Counter(data.target.names)
    again = read_index(take(petals, max_images=40)).filter(status="ok")
    assert Counter(again["target"]) == {"daisy": 30, "rose": 10}


def test_copies_do_not_fill_a_sample(petals, paint, take):
    for number in range(30):
        paint(petals / "rose" / f"copy{number}.png", 1)
    data = take(petals, max_images=12)
    assert Counter(read_index(data).filter(status="ok")["target"]) == {"daisy": 6, "rose": 6}


def test_a_sample_depends_on_the_seed_alone(petals, take, tmp_path):
    copy = shutil.copytree(petals, tmp_path / "copy" / "petals")
    first, second, other = take(petals, max_images=8), take(copy, max_images=8), take(petals, max_images=8, seed=1)
    assert first.hash == second.hash != other.hash


def test_a_sample_keeps_the_proportions_of_given_splits(tmp_path, paint, take):
    for part, (name, size) in enumerate({"train": 60, "val": 20, "test": 20}.items()):
        for number in range(size):
            paint(tmp_path / "set" / name / ("a" if number % 4 else "b") / f"{number}.png", 100 * part + number)
    counts = Counter(read_index(take(tmp_path / "set", max_images=20)).select("split", "target").rows())
    assert counts == {
        ("train", "a"): 6,
        ("train", "b"): 6,
        ("val", "a"): 2,
        ("val", "b"): 2,
        ("test", "a"): 2,
        ("test", "b"): 2,
    }


def test_a_sample_too_small_for_the_classes_is_refused(petals, take):
    with pytest.raises(DataError, match="max_images is 3, too few for 2 classes; raise it to at least 4"):
        take(petals, max_images=3)


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is missing: the real images are not part of the repository")
def test_real_photographs_are_ingested_whole(take):
    data = take(f"folder:{REAL / 'flowers5'}")
    index = read_index(data)
    assert (data.images, len(data.target.names), data.rejected) == (1000, 5, {})
    assert Counter(index["split"]) == {"train": 600, "val": 200, "test": 200}
    assert index["height"].min() >= 100


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is missing: the real images are not part of the repository")
def test_real_groceries_are_sampled_evenly(take):
    data = take(f"groceries=folder:{REAL / 'grocery81'}", max_images=324)
    counts = Counter(read_index(data).select("target", "split").rows())
    assert (data.images, len(data.target.names)) == (324, 81)
    assert len(counts) == 3 * 81
    assert set(Counter(read_index(data)["target"]).values()) == {4}
