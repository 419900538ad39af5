"""Labels of all sources: one form per class, missing labels reject their row, and suspicious names give a warning."""

import unicodedata

import polars as pl
import pytest

from itm.core.errors import DataError
from itm.data.index import read_index

CAFE = "caf\u00e9"


def _index(petals, take, kind, labels, **columns):
    """Ingest an index of the images in which the first rows have other labels."""
    paths = [str(path.relative_to(petals)) for path in sorted(petals.rglob("*.png"))]
    given = [*labels, *(["daisy"] * 10 + ["rose"] * 10)[len(labels) :]]
    path = petals / f"index.{kind}"
    table = pl.DataFrame({"path": paths, "label": given} | columns, strict=False)
    table.write_csv(path) if kind == "csv" else table.write_parquet(path)
    return take(f"{kind}:{path}")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("label", ["daisy ", " daisy", "daisy\t", "\u00a0daisy"])
def test_blanks_around_a_label_make_no_class(petals, take, kind, label, caplog):
    caplog.set_level("INFO", "itm")
    assert _index(petals, take, kind, [label, label]).target.names == ("daisy", "rose")
    assert "index: the spellings of 'daisy' differ in blanks at the ends or in Unicode form; read as one class" in caplog.text


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_unicode_forms_of_a_label_are_one_class(petals, take, kind):
    forms = [unicodedata.normalize(form, CAFE) for form in ("NFC", "NFD")] * 5
    assert _index(petals, take, kind, forms).target.names == (CAFE, "rose")


def test_class_folders_that_differ_in_blanks_or_unicode_form_are_one_class(tmp_path, paint, take):
    names = ["cat", "cat ", unicodedata.normalize("NFC", CAFE), unicodedata.normalize("NFD", CAFE)]
    for number in range(16):
        paint(tmp_path / "set" / names[number % 4] / f"{number}.png", number)
    assert take(tmp_path / "set").target.names == (CAFE, "cat")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("missing", ["NaN", "nan", "None", "null", "NA", "", " ", "<NA>"])
def test_a_missing_label_rejects_its_row(petals, take, kind, missing, caplog):
    data = _index(petals, take, kind, ["daisy", missing, "daisy", missing])
    bad = read_index(data).filter(status="rejected")
    lines = (" (line 3)", " (line 5)") if kind == "csv" else ("", "")
    assert bad["reason"].to_list() == [f"row 2 has no label{lines[0]}", f"row 4 has no label{lines[1]}"]
    assert (data.images, data.target.names, data.rejected) == (18, ("daisy", "rose"), {"no label": 2})
    assert f"index: rejected 2 of 20 images: 2 no label; first: {petals}/daisy/02.png: row 2 has no label" in caplog.text


@pytest.mark.parametrize(
    "labels",
    [
        pl.Series([0.0] * 10 + [float("nan")] * 2 + [1.0] * 8),
        pl.Series([0] * 10 + [None] * 2 + [1] * 8),
        pl.Series([0.0] * 10 + [None] * 2 + [1.0] * 8),
    ],
)
def test_whole_numbers_with_gaps_are_whole_classes(petals, take, labels):
    paths = [str(path.relative_to(petals)) for path in sorted(petals.rglob("*.png"))]
    table = pl.DataFrame({"path": paths, "label": labels})
    table.write_parquet(petals / "numbers.parquet")
    table.write_csv(petals / "numbers.csv")
    for kind in ("parquet", "csv"):
        data = take(f"{kind}:{petals}/numbers.{kind}")
        assert (data.target.names, data.rejected) == (("0", "1"), {"no label": 2})


def test_a_folder_named_like_a_missing_value_is_no_class(petals, paint, take):
    paint(petals / "nan" / "1.png", 71)
    data = take(petals)
    assert (data.target.names, data.rejected) == (("daisy", "rose"), {"no label": 1})


def test_a_missing_number_rejects_its_row(petals, take):
    paths = [str(path.relative_to(petals)) for path in sorted(petals.rglob("*.png"))]
    pl.DataFrame({"path": paths, "target": [None, float("nan"), *map(float, range(18))]}).write_parquet(petals / "n.parquet")
    data = take(f"parquet:{petals}/n.parquet?task=regression")
    assert (data.images, data.rejected) == (18, {"no label": 2})
    assert read_index(data)["reason"].drop_nulls().to_list() == ["row 1 has no target", "row 2 has no target"]


def test_groups_and_splits_have_one_form_too(petals, take):
    groups = ["p1", "p1 ", " p1", "NaN", "None", *(f"q{number}" for number in range(15))]
    splits = ["train", "Train ", "TRAIN", "training_set", "train2017", *["train"] * 11, *["val", "Valid", "test", "Test"]]
    data = _index(petals, take, "csv", [], group=groups, split=splits)
    index = read_index(data)
    assert index["group"].to_list()[:5] == ["p1", "p1", "p1", None, None]
    assert index["split"].to_list() == ["train"] * 16 + ["val"] * 2 + ["test"] * 2


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ("Rose", "rose"),
            "set: these classes have nearly the same name: 'Rose' and 'rose'; rename them if they are one class",
        ),
        (("sea lion", "sea_lion"), "'sea lion' and 'sea_lion'"),
        (("rose", "r\u043ese"), "nearly the same name"),
        (("none", "rose"), "'none' is read as a class; leave the label empty if it is missing"),
    ],
)
def test_suspicious_names_of_classes_give_a_warning(tmp_path, paint, take, caplog, names, said):
    for number in range(8):
        paint(tmp_path / "set" / names[number % 2] / f"{number}.png", number)
    assert len(take(tmp_path / "set").target.names) == 2
    assert said in caplog.text


def test_classes_that_are_numbers_may_be_quantities(petals, take):
    with pytest.raises(DataError, match=r"and 11 more; add images .*all 20 classes are numbers; .*\?task=regression"):
        _index(petals, take, "csv", [f"{number}.5" for number in range(20)])


def test_rejected_rows_take_no_share_of_a_sample(petals, take):
    paths = [str(path.relative_to(petals)) for path in sorted(petals.rglob("*.png"))]
    table = pl.DataFrame(
        {"path": paths, "label": ["daisy"] * 10 + ["rose"] * 10, "split": ["train"] * 8 + [None] * 4 + ["train"] * 8}
    )
    table.write_csv(petals / "index.csv")
    data = take(f"csv:{petals}/index.csv", max_images=10)
    assert (data.images, data.rejected) == (10, {"no split": 4})
