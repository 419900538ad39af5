"""Embeddings that a user has computed: their labels, their files, and what is said about wrong ones."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itm.core.errors import DataError
from itm.core.sections import DataParams
from itm.data.embedding_files import as_float32, check_table, read_array
from itm.data.index import describe_changes, read_index
from itm.data.ingest import ingest
from itm.data.sources.parse import parse_source
from itm.store.layout import Store

LABELS = ["cat", "dog"] * 6
TABLE = np.arange(36, dtype=np.float32).reshape(12, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the embeddings of one model and no labels yet."""
    path = tmp_path / "own"
    path.mkdir()
    np.save(path / "dino.npy", TABLE)
    return path


def _write_labels(folder: Path, suffix: str) -> None:
    file = folder / f"labels{suffix}"
    match suffix:
        case ".npy":
            np.save(file, np.array(LABELS))
        case ".txt":
            file.write_text("\n".join(LABELS) + "\n")
        case ".csv":
            file.write_text("label;split\n" + "".join(f"{label};train\n" for label in LABELS))
        case ".parquet":
            pl.DataFrame({"label": LABELS}).write_parquet(file)


@pytest.mark.parametrize("suffix", [".npy", ".txt", ".csv", ".parquet"])
def test_labels_are_read_from_each_kind_of_file(suffix, folder, store):
    _write_labels(folder, suffix)
    data = ingest(f"embeddings:{folder}", DataParams(), store)
    assert (data.name, data.images, data.target.names) == ("own", 12, ("cat", "dog"))
    table = read_index(data).sort("id")
    assert table["target"].to_list() == LABELS
    assert set(table["split"]) == {"train"}


def test_splits_groups_and_missing_labels_are_those_of_the_table(folder, store):
    rows = [f"{label},{'test' if number < 4 else 'train'},p{number // 2}" for number, label in enumerate(LABELS)]
    rows[5] = ",train,p2"
    (folder / "labels.csv").write_text("label,split,group\n" + "\n".join(rows))
    data = ingest(f"embeddings:{folder}", DataParams(), store)
    table = read_index(data)
    assert dict(table.group_by("split").len().iter_rows()) == {"test": 4, "train": 8}
    assert data.groups == 6
    assert table.filter(status="rejected")["reason"].to_list() == ["row 6 has no label (line 7)"]


def test_rows_are_sampled_evenly_over_classes(folder, store):
    _write_labels(folder, ".txt")
    data = ingest(f"embeddings:{folder}", DataParams(max_images=6), store)
    assert read_index(data)["target"].value_counts().sort("target").rows() == [("cat", 3), ("dog", 3)]


def test_numbers_are_targets_of_a_regression(folder, store):
    np.save(folder / "labels.npy", np.linspace(0, 1, 12))
    assert ingest(f"embeddings:{folder}?task=regression", DataParams(), store).target.kind == "regression"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: folder, "there are no labels; add labels.csv with the column 'label'"),
        (lambda folder: [_write_labels(folder, end) for end in (".npy", ".txt")], "several files of labels, labels.npy and"),
        (lambda folder: (_write_labels(folder, ".npy"), (folder / "dino.npy").unlink()), "there are no embeddings; save one"),
        (
            lambda folder: (_write_labels(folder, ".npy"), np.savez(folder / "dino.npz", TABLE)),
            "dino.npy and dino.npz are both named 'dino'",
        ),
        (lambda folder: np.save(folder / "labels.npy", TABLE), "labels.npy: has the shape (12, 3); one label per row"),
        (
            lambda folder: np.save(folder / "labels.npy", np.array(LABELS, object), allow_pickle=True),
            "labels.npy: holds no plain array",
        ),
        (lambda folder: (folder / "labels.csv").write_text("kind\ncat\n"), "there is no column 'label'"),
    ],
)
def test_a_wrong_folder_is_named_with_the_fix(prepare, message, folder, store):
    prepare(folder)
    with pytest.raises(DataError) as error:
        ingest(f"embeddings:{folder}", DataParams(), store)
    assert message in str(error.value)
    assert str(folder) in str(error.value)


def test_columns_of_labels_without_columns_are_refused(folder, store):
    _write_labels(folder, ".txt")
    with pytest.raises(DataError, match=r"has no columns, so it has no 'group'"):
        ingest(f"embeddings:{folder}?group=patient", DataParams(), store)


def test_a_file_of_each_kind_gives_its_table(tmp_path):
    np.savez(tmp_path / "a.npz", TABLE)
    pl.DataFrame({"embedding": TABLE.tolist()}).write_parquet(tmp_path / "b.parquet")
    pl.DataFrame(TABLE, schema=["x", "y", "z"]).write_parquet(tmp_path / "c.parquet")
    for name in ("a.npz", "b.parquet", "c.parquet"):
        assert np.array_equal(read_array(tmp_path / name), TABLE), name


def test_files_that_hold_no_table_are_named(tmp_path):
    np.savez(tmp_path / "two.npz", a=TABLE, b=TABLE)
    pl.DataFrame({"x": [1.0], "name": ["a"]}).write_parquet(tmp_path / "text.parquet")
    pl.DataFrame({"x": [[1.0], [1.0, 2.0]]}).write_parquet(tmp_path / "uneven.parquet")
    (tmp_path / "no.npy").write_bytes(b"no array")
    np.savez_compressed(tmp_path / "whole.npz", np.random.default_rng(0).normal(size=(100, 3)))
    content = bytearray((tmp_path / "whole.npz").read_bytes())
    (tmp_path / "cut.npz").write_bytes(content[:500])
    content[1500] ^= 1
    (tmp_path / "changed.npz").write_bytes(content)
    content[60:80] = b"\xff" * 20
    (tmp_path / "garbled.npz").write_bytes(content)
    messages = {
        "two.npz": "holds 2 arrays (a and b); save one array per file",
        "text.parquet": "'name' hold no numbers",
        "uneven.parquet": "the lists of the column 'x' differ in length",
        "no.npy": "holds no plain array",
        "cut.npz": "cut.npz: cannot be read (File is not a zip file); save it again",
        "changed.npz": "changed.npz: cannot be read (",
        "garbled.npz": "garbled.npz: cannot be read (Error -3 while decompressing",
        "gone.npy": "no such file",
    }
    for name, message in messages.items():
        with pytest.raises(DataError) as error:
            read_array(tmp_path / name)
        assert message in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (TABLE.astype(str), "holds values of type <U"),
        (TABLE[:, :, None], "has the shape (12, 3, 1); one row per image"),
        (TABLE[:4], "has 4 rows for 12 labels"),
        (TABLE.T, "It looks transposed."),
        (TABLE[:, :0], "is empty"),
    ],
)
def test_what_is_no_table_of_the_labels_is_refused(values, message):
    with pytest.raises(DataError) as error:
        check_table(values, 12, "dino")
    assert message in str(error.value)
    assert str(error.value).startswith("dino: ")


def test_a_value_that_is_not_finite_counts_only_in_the_rows_that_are_used():
    values = TABLE.astype(np.float64)
    values[3, 1], values[5, 0] = np.nan, 1e300
    with pytest.raises(DataError, match=r"2 rows of 12 hold values that are missing or infinite, the first is row 3"):
        as_float32(values, np.arange(12), "dino")
    assert as_float32(values, np.array([0, 4]), "dino").tolist() == TABLE[[0, 4]].tolist()


def test_a_changed_file_is_seen_without_reading_it(folder, store: Store):
    _write_labels(folder, ".txt")
    source = f"embeddings:{folder}"
    data = ingest(source, DataParams(), store)
    assert describe_changes(source, False, store) == ""
    later = data.index.stat().st_mtime + 5
    os.utime(folder / "dino.npy", (later, later))
    assert describe_changes(source, False, store).startswith("1 file changed")
    assert set(parse_source(source).source.fingerprint() or ()) == {f"{folder}/labels.txt", f"{folder}/dino.npy"}
