"""Sources other than folders: indexes, digits and drawn images, and the words that are no source."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from itm.core.errors import DataError
from itm.data.index import read_index
from itm.data.sources.drawing import SyntheticSet, draw


def _write_csv(path, rows, header="path,label,split"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_an_index_names_images_labels_and_splits(petals, take):
    rows = [f"{path.relative_to(petals)},00{path.parent.name == 'rose':d},training" for path in sorted(petals.rglob("*.png"))]
    rows[0] = rows[0].replace("daisy", f"{petals}/rose/../daisy").replace("training", "valid")
    data = take(f"csv:{_write_csv(petals / 'blossoms.csv', rows)}")
    assert (data.name, data.target.names, data.images) == ("blossoms", ("000", "001"), 20)
    index = read_index(data)
    assert Counter(index["split"]) == {"train": 19, "val": 1}
    assert index["path"].to_list() == sorted(str(path) for path in petals.rglob("*.png"))


def test_a_parquet_index_may_have_numbers_as_labels(petals, take):
    paths = [path.relative_to(petals).as_posix() for path in sorted(petals.rglob("*.png"))]
    pl.DataFrame({"path": paths, "label": [7] * 10 + [12] * 10}).write_parquet(petals / "all.parquet")
    data = take(f"parquet:{petals / 'all.parquet'}")
    assert data.target.names == ("12", "7")
    assert Counter(read_index(data)["split"]) == {"train": 12, "val": 4, "test": 4}


def test_an_index_cannot_reach_out_of_its_folder(petals, paint, take):
    outside = paint(petals.parent / "private" / "1.png", 71)
    rows = [f"{path.relative_to(petals)},{path.parent.name}" for path in petals.rglob("*.png")]
    rows += ["../private/1.png,rose", f"{outside},rose", "rose/nothing.png,rose"]
    data = take(f"csv:{_write_csv(petals / 'index.csv', rows, 'path,label')}")
    bad = read_index(data).filter(status="rejected").select("path", "id", "rejection", "reason").rows()
    reason = ("outside the folder", f"outside the folder of the index; write ?root={petals.parent}")
    assert sorted(bad) == sorted(
        [
            ("../private/1.png", None, *reason),
            (str(outside), None, *reason),
            (f"{petals}/rose/nothing.png", None, "missing", "missing: no such file"),
        ]
    )
    assert data.rejected == {"missing": 1, "outside the folder": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label\na.png,x\n", "there is no column 'path'. Found: file, label"),
        ("path,lable\na.png,x\n", "there is no column 'label'; did you mean 'lable'"),
        ("path,label\na.png,x\nb.png,\n", "row 2 has no label"),
        ("path,label,split\na.png,x,train\nb.png,y,tset\n", r"row 2 has the split 'tset' \(line 3\); did you mean 'test'"),
        ("path,label,split\na.png,x,train\nb.png,y,\n", "row 2 has no split"),
        ("path,label\n", "there are no images"),
        ("", "is empty; write a first line"),
    ],
)
def test_an_index_that_is_wrong_names_the_place(tmp_path, take, text, words):
    (tmp_path / "index.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        take(f"csv:{tmp_path / 'index.csv'}")


def test_digits_are_the_real_ones(take):
    data = take("digits")
    assert (data.name, data.images, data.target.names) == ("digits", 1797, tuple("0123456789"))
    digits = load_digits()
    rows = {path[-8:-4]: (path, target) for path, target in read_index(data).select("path", "target").rows()}
    for number in (0, 700, 1796):
        path, target = rows[f"{number:04d}"]
        assert target == str(digits.target[number])
        assert np.array_equal(np.rint(np.asarray(Image.open(path)) * (16 / 255)), digits.images[number])


def test_synthetic_images_are_drawn_once(take, store):
    data = take("synthetic:shapes?images=20&difficulty=0.8&seed=3")
    assert (data.name, data.images, len(data.target.names)) == ("shapes-images20-difficulty0.8-seed3", 20, 10)
    class_name, number, image = next(draw(SyntheticSet("shapes", 20, 0.8, seed=3)))
    (folder,) = (store.root / "raw").iterdir()
    path = folder / class_name / f"{number:05d}.png"
    assert np.array_equal(np.asarray(Image.open(path)), np.asarray(image))
    written = path.stat().st_mtime_ns
    assert take("synthetic:shapes?seed=3&images=20&difficulty=.80").hash == data.hash
    assert path.stat().st_mtime_ns == written
    assert take("synthetic:shapes?images=20&difficulty=0.8&seed=4").hash != data.hash


def test_an_index_file_given_bare_is_told_how(tmp_path, take):
    path = _write_csv(tmp_path / "index.csv", ["a.png,x,train"])
    with pytest.raises(DataError, match=f"write csv:{path} or parquet:"):
        take(path)
