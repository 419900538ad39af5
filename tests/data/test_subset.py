"""Subsets of the images of a data set are nested and keep the shares of the classes."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itm.core.types import DataRef, Subset, TargetSpec
from itm.data.subset import LEAST, take
from itm.kinds import get_kind

CLASSES = {"common": 700, "rare": 100, "very rare": 8}


@pytest.fixture
def rows() -> pl.DataFrame:
    """Return the rows of an index, in random order."""
    targets = np.random.default_rng(1).permutation([name for name, count in CLASSES.items() for _ in range(count)])
    return pl.DataFrame({"id": [f"{number * 7919 % 1009:04x}" for number in range(len(targets))], "target": targets})


@pytest.fixture
def data() -> DataRef:
    return DataRef("d", "d", Path(), "hash", TargetSpec(names=tuple(CLASSES)), sum(CLASSES.values()))


def counts(rows: pl.DataFrame) -> dict[str, int]:
    return dict(rows["target"].value_counts().iter_rows())


def test_a_larger_subset_contains_a_smaller_one_in_the_order_of_the_index(rows: pl.DataFrame, data: DataRef) -> None:
    small, large = (take(rows, data, Subset(images, seed=3)) for images in (64, 256))
    assert (len(small), len(large)) == (64, 256)
    assert set(small["id"]) < set(large["id"])
    assert large.equals(rows.filter(pl.col("id").is_in(large["id"].implode())))


def test_classes_keep_their_shares_and_rare_ones_have_some_images(rows: pl.DataFrame, data: DataRef) -> None:
    found = counts(take(rows, data, Subset(256, seed=0)))
    assert found["very rare"] == LEAST
    assert found["rare"] / found["common"] == pytest.approx(100 / 700, abs=0.02)


def test_the_seed_and_the_ids_alone_decide(rows: pl.DataFrame, data: DataRef) -> None:
    own = set(take(rows, data, Subset(100, seed=0))["id"])
    assert own == set(take(rows.sample(fraction=1, shuffle=True, seed=2), data, Subset(100, seed=0))["id"])
    assert own != set(take(rows, data, Subset(100, seed=1))["id"])


def test_numbers_are_spread_over_their_range() -> None:
    rows = pl.DataFrame({"id": [f"{number:04d}" for number in range(1000)], "target": [str(number) for number in range(1000)]})
    spec = get_kind("regression").specify(rows["target"])
    found = take(rows, DataRef("n", "n", Path(), "hash", spec, 1000), Subset(100, seed=0))
    assert found["target"].cast(pl.Float64).mean() == pytest.approx(500, abs=30)
