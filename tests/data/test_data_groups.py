"""Groups that a user names stay whole in every split; without them nothing changes."""

from collections import Counter, defaultdict
from functools import partial

import polars as pl
import pytest

from itm.core.errors import DataError
from itm.core.keys import content_key
from itm.data.index import read_index
from itm.data.rows import Row
from itm.data.splits import assign_splits

pytestmark = pytest.mark.slow

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
DIGITS = "9023119d92d46120fbf50f6bb82e89397b46ce08e20db7116058be68a571f2fe"
SHAPES = "bfb47e15783d1b093bb39ff07b7f6c45cfb2f98fe9146edca4a932f2f631fdc3"
SAMPLED = "ebb61f85f689af2bbf43fa57762bc0049b040da2d294b5f36af2213b89cbf3d9"

IDS = "06a68e72ecc2f645aa4bee6a6ca23a9904c05822cf604538f1487d8e90589d38"


@pytest.fixture
def index(petals, paint, write_table):
    """Return a function that writes an index of forty images with a column of groups and others."""

    def write(column, values, kind="csv", **more):
        for number in range(20, 40):
            paint(petals / ("daisy", "rose")[number % 2] / f"{number:02d}.png", number)
        columns = {column: values} | {name: found.__getitem__ for name, found in more.items()}
        by_path = {name: partial(lambda value, path: value(int(path.stem)), value) for name, value in columns.items()}
        return write_table(petals, kind, label=lambda path: path.parent.name, **by_path)

    return write


def _splits_of_groups(data):
    splits = defaultdict(set)
    for group, split in read_index(data).filter(pl.col("group").is_not_null()).select("group", "split").rows():
        splits[group].add(split)
    return splits


@pytest.mark.parametrize(("kind", "values"), [("csv", lambda n: f"patient{n // 4}"), ("parquet", lambda n: n // 4)])
def test_splits_keep_groups_whole(index, take, kind, values):
    data = take(index("group", values, kind))
    splits = _splits_of_groups(data)
    assert (data.groups, len(splits)) == (10, 10)
    assert {len(names) for names in splits.values()} == {1}
    assert Counter(split for (split,) in splits.values()) == {"train": 6, "val": 2, "test": 2}
    assert take(index("group", values, kind), seed=1).hash != data.hash


def test_an_option_names_the_column_of_the_groups(index, take):
    source = index("patient", lambda number: f"p{number % 10}")
    assert take(source).groups == 0
    assert take(f"{source}?group=patient").groups == 10
    with pytest.raises(DataError, match=r"no column 'pateint'; did you mean 'patient'\? Found: path, label, patient; needed"):
        take(f"{source}?group=pateint")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_image_with_an_empty_group_is_its_own_group(index, take, kind):
    source = index("group", lambda number: "one" if number < 8 else None, kind)
    data = take(source)
    rows = read_index(data)
    assert data.groups == 1
    assert rows["group"].null_count() == 32
    assert len(_splits_of_groups(data)["one"]) == 1
    assert set(rows.filter(pl.col("group").is_null())["split"]) == set(SHARES)


def test_groups_of_one_image_change_neither_splits_nor_hash_if_they_are_empty(index, take):
    with_column = take(index("group", lambda _: None))
    without = take(index("other", lambda _: "same"))
    assert with_column.hash == without.hash
    assert with_column.groups == 0


def test_the_hash_of_the_data_holds_its_groups(index, take):
    hashes = [take(index("group", values)).hash for values in (lambda n: n, lambda n: n + 1, lambda _: None)]
    assert len(set(hashes)) == 3


def test_a_group_in_two_of_the_given_splits_is_refused(index, take):
    splits = ["train"] * 20 + ["test"] * 20
    source = index("group", lambda number: f"p{7 if number in (18, 38) else 100 + number}", split=splits)
    with pytest.raises(DataError) as caught:
        take(source)
    assert str(caught.value) == (
        f"{source}: the group 'p7' is in test and train; a group must be in one split. Correct the column split, or remove it."
    )
    source = index("group", lambda number: number % 20, split=splits)
    with pytest.raises(DataError, match=r"the group '0' is in test and train \(and 19 other groups in several splits\); a"):
        take(source)


def test_given_splits_are_kept_if_no_group_is_torn(index, take):
    data = take(index("group", lambda number: number // 10, split=["train"] * 20 + ["val"] * 10 + ["test"] * 10))
    assert _splits_of_groups(data) == {"0": {"train"}, "1": {"train"}, "2": {"val"}, "3": {"test"}}


def test_a_class_that_groups_leave_out_of_train_is_refused(index, take):
    species = ["daisy"] * 3 + ["rose"] * 37
    source = f"{index('group', lambda n: 'mixed' if n < 8 else str(n), species=species)}?target=species"
    outcomes = set()
    for seed in range(10):  # the group with the daisies is in train for most seeds
        try:
            outcomes.add(take(source, seed=seed).target.names)
        except DataError as error:
            outcomes.add(str(error))
    refused = f"{source}: val or test has classes that train lacks: 'daisy'; add images of them to train or remove them."
    assert outcomes == {("daisy", "rose"), refused}


def _rows(groups):
    """Return one row per (group, stratum)."""
    return [
        Row(f"{number}.png", f"{number}.png", str(stratum), None, group, (stratum,), f"id{number}")
        for number, (group, stratum) in enumerate(groups)
    ]


def test_each_split_gets_its_share_of_the_groups_of_each_stratum():
    rows = _rows([(f"s{stratum}g{group}", stratum) for stratum in range(3) for group in range(10) for _ in range(4)])
    placed = {(row.strata[0], row.group, row.split) for row in assign_splits(rows, SHARES, 0)}
    assert Counter((stratum, split) for stratum, _, split in placed) == {
        (stratum, split): count for stratum in range(3) for split, count in {"train": 6, "val": 2, "test": 2}.items()
    }


def test_a_group_belongs_to_the_stratum_of_most_of_its_images():
    mixed = [(f"g{group}", stratum) for group in range(10) for stratum in (0, 0, 1)]
    placed = {row.group: row.split for row in assign_splits(_rows(mixed), SHARES, 0)}
    assert Counter(placed.values()) == {"train": 6, "val": 2, "test": 2}
    even = assign_splits(_rows([("g", 1), ("g", 0), ("h", 0), ("i", 0)]), SHARES, 0)
    assert {row.split for row in even} == set(SHARES)


def test_splits_depend_on_the_names_of_groups_and_on_nothing_else():
    groups = [(f"g{group}", group % 2) for group in range(20) for _ in range(3)]
    before = {row.group: row.split for row in assign_splits(_rows(groups), SHARES, 0)}
    assert {row.group: row.split for row in assign_splits(_rows(groups[::-1]), SHARES, 0)} == before


def test_images_without_groups_are_split_as_before_there_were_any(take):
    assert take("digits").hash == DIGITS
    assert take("synthetic:shapes?images=60").hash == SHAPES
    assert take("synthetic:shapes?images=200", max_images=60).hash == SAMPLED
    rows = [Row(f"{n}", f"{n}", "", None, None, (n % 3,), f"id{n}") for n in range(100)]
    splits = {row.id: row.split for row in assign_splits(rows, SHARES, 7)}
    assert content_key(sorted(splits.items())) == IDS
