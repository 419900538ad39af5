"""Columns of targets of an index: lists, several columns, the kind that they say, and wrong ones."""

import json
import logging
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itm.core.errors import DataError
from itm.core.sections import DataParams
from itm.core.types import DataRef
from itm.data.index import read_index
from itm.data.ingest import ingest, ingest_all
from itm.data.sources.parse import parse_source
from itm.store.layout import Store

ROWS = 24
LABELS = [["cat", "dog"][: row % 3] + ["owl"] * (row % 2) for row in range(ROWS)]
COLUMNS = {name: [int(name in own) for own in LABELS] for name in ("cat", "dog", "owl")}
NUMBERS = {"age": [row % 7 for row in range(ROWS)], "height [mm]": [row / 2 for row in range(ROWS)]}


@pytest.fixture
def index(tmp_path: Path, paint) -> Path:
    """Return the folder of an index with labels as lists, as text and as columns, and with numbers."""
    paths = [paint(tmp_path / f"{row:02d}.png", row).name for row in range(ROWS)]
    table = pl.DataFrame(
        {"path": paths, "labels": LABELS, "tags": ["|".join(own) or "|" for own in LABELS], **COLUMNS, **NUMBERS}
    )
    table.write_parquet(tmp_path / "index.parquet")
    table.drop("labels").write_csv(tmp_path / "index.csv")
    return tmp_path


@pytest.fixture
def read(index: Path, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))

    def call(source: str, **more: object) -> DataRef:
        scheme, colon, rest = source.partition(":")
        return ingest(f"{scheme}{colon}{index}/{rest}", DataParams(**more), store)

    return call


def test_a_column_of_lists_is_multilabel_unless_the_task_is_named(read, caplog) -> None:
    with caplog.at_level(logging.INFO):
        data = read("parquet:index.parquet")
    assert data.target.kind == "multilabel"
    assert data.target.names == ("cat", "dog", "owl")
    assert "the column 'labels' holds lists, so the task is multilabel" in caplog.text
    assert {json.dumps(own) for own in LABELS} == set(read_index(data)["target"])
    with pytest.raises(DataError, match="the column 'labels' has the type List"):
        read("parquet:index.parquet?task=classification&target=labels")
    assert read("parquet:index.parquet?target=age").target.kind == "classification"


@pytest.mark.parametrize(
    "source",
    [
        "parquet:index.parquet",
        "csv:index.csv?task=multilabel&target=tags",
        "csv:index.csv?task=multilabel&target=cat,dog,owl",
        "parquet:index.parquet?task=multilabel&target=cat, DOG,o*",
    ],
)
def test_lists_text_and_columns_give_the_same_data(read, source: str) -> None:
    assert read(source).hash == read("parquet:index.parquet").hash


def test_several_columns_of_numbers_keep_their_order_and_units(read) -> None:
    data = read("csv:index.csv?task=regression&target=height*,age")
    assert data.target.names == ("height [mm]", "age")
    assert json.loads(read_index(data)["target"][3]) == {"height [mm]": 1.5, "age": 3.0}
    assert read("csv:index.csv?task=regression&target=age").target.names == ()


def test_a_column_whose_name_has_a_comma_is_one_column(index: Path, read) -> None:
    pl.read_csv(index / "index.csv").rename({"age": "age, years"}).write_csv(index / "other.csv")
    assert read("csv:other.csv?task=regression&target=age, years").target.facts["highest"] == 6.0


def test_splits_have_equal_shares_of_every_label(read) -> None:
    table = read_index(read("parquet:index.parquet"))
    for name in ("cat", "dog", "owl"):
        own = table.filter(pl.col("target").str.contains(name))["split"].value_counts()
        shares = dict(zip(own["split"], own["count"] / own["count"].sum(), strict=True))
        assert shares["train"] == pytest.approx(0.6, abs=0.13), name
        assert min(shares.values()) > 0.1
    assert table["split"].value_counts().sort("count")["count"].to_list() == [5, 5, 14]


def test_a_sample_has_images_of_every_label(read) -> None:
    sampled = read("parquet:index.parquet", max_images=12)
    assert sampled.images == 12
    assert sampled.target.names == ("cat", "dog", "owl")


def test_groups_are_never_divided(index: Path, read) -> None:
    table = pl.read_parquet(index / "index.parquet").with_columns(group=pl.Series([f"g{row // 3}" for row in range(ROWS)]))
    table.write_parquet(index / "grouped.parquet")
    splits = read_index(read("parquet:grouped.parquet")).group_by("group").agg(pl.col("split").n_unique())
    assert splits["split"].to_list() == [1] * 8


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("csv:index.csv?task=multi", "there is no task 'multi'; did you mean 'multilabel'"),
        ("csv:index.csv?task=multilabel", r"there is no column 'labels'\. .*needed: path, labels"),
        ("csv:index.csv?task=multilabel&target=cat,dgo", "there is no column 'dgo'; did you mean 'dog'"),
        ("csv:index.csv?task=multilabel&target=x*", r"there is no column 'x\*'"),
        ("csv:index.csv?target=cat,dog", r"classification has one column of targets, not 2 \(cat, dog\)"),
        (
            "csv:index.csv?task=multilabel&target=cat,h*",
            "22 wrong target; .* the label 'height .mm.' is '0.5'; it must be 0 or 1",
        ),
        ("csv:index.csv?task=multilabel&target=path", "no label has at least 2 images with it and 2 without it"),
        ("csv:index.csv?task=regression&target=tags", "24 wrong target; first: .*'|' is not a number"),
        ("csv:index.csv?task=regression&target=age,tags", "24 wrong target; first: .*'|' of 'tags' is not a number"),
        ("parquet:index.parquet?task=regression&target=labels", "the column 'labels' has the type List"),
        ("csv:constant.csv?task=regression&target=a,b", "every image has the same 'a'; leave out targets that do not differ"),
        ("csv:constant.csv?task=multilabel&target=c", "none of the images can be used. Rejected: 24 no label"),
        ("csv:few.csv?task=multilabel&target=c", "there are 4 usable images; multi-label data needs 5 or more"),
        ("csv:few.csv?task=regression&target=a,b", "there are 4 usable images; regression needs 5 or more"),
        ("parquet:nested.parquet?task=multilabel", r"the column 'labels' has the type List\(List"),
        ("csv:brackets.csv?task=multilabel&target=c", "24 wrong target; first: .*is not a list of labels; write"),
    ],
)
def test_wrong_input_gives_one_message_and_does_not_stop_other_data(
    index: Path, tmp_path_factory, source: str, said: str
) -> None:
    paths = [f"{row:02d}.png" for row in range(ROWS)]
    pl.DataFrame({"path": paths, "a": 1, "b": range(ROWS), "c": [""] * ROWS}).write_csv(index / "constant.csv")
    pl.DataFrame({"path": paths[:4], "a": range(4), "b": [3, 2, 1, 0], "c": ["x|y", "x", "y", "|"]}).write_csv(
        index / "few.csv"
    )
    pl.DataFrame({"path": paths, "labels": [[["x"]]] * ROWS}).write_parquet(index / "nested.parquet")
    pl.DataFrame({"path": paths, "c": ["[cat, dog]"] * ROWS}).write_csv(index / "brackets.csv")
    scheme, colon, rest = source.partition(":")
    store = Store(tmp_path_factory.mktemp("store"))
    wrong, good = f"wrong={scheme}{colon}{index}/{rest}", f"parquet:{index}/index.parquet"
    found, failures = ingest_all(DataParams(sets=(wrong, good)), store)
    assert [data.name for data in found] == ["index"]
    (failure,) = failures
    assert re.search(said, failure.reason)
    assert "\n" not in failure.reason


def test_rows_that_are_wrong_are_rejected_alone(index: Path, read) -> None:
    table = pl.read_csv(index / "index.csv").with_columns(pl.col("tags", "cat", "age").cast(pl.String))
    for row, (column, value) in enumerate([("tags", ""), ("cat", "maybe"), ("age", "old")]):
        cells = table[column].to_list()
        cells[row] = value
        table = table.with_columns(pl.Series(column, cells))
    table.write_csv(index / "wrong.csv")
    assert read("csv:wrong.csv?task=multilabel&target=tags").rejected == {"no label": 1}
    assert read("csv:wrong.csv?task=multilabel&target=cat,dog").rejected == {"wrong target": 1}
    assert read("csv:wrong.csv?task=regression&target=age,height*").rejected == {"wrong target": 1}


def test_the_kind_of_an_index_that_is_gone_is_not_an_error(tmp_path: Path) -> None:
    assert parse_source(f"parquet:{tmp_path}/gone.parquet").source.kind == "classification"


def test_embeddings_of_ones_own_take_columns_and_arrays_of_labels(tmp_path: Path) -> None:
    for name, write in {
        "csv": lambda folder: pl.DataFrame(COLUMNS).write_csv(folder / "labels.csv"),
        "npy": lambda folder: np.save(folder / "labels.npy", np.stack(list(COLUMNS.values()), axis=1)),
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        np.save(folder / "model.npy", np.random.default_rng(0).normal(size=(ROWS, 4)))
        write(folder)
        options = "task=multilabel" if name == "npy" else "task=multilabel&target=*"
        data = ingest(f"embeddings:{folder}?{options}", DataParams(), Store(tmp_path / "store"))
        assert len(data.target.names) == 3
