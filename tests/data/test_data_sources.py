"""Sources other than folders: indexes, digits and drawn images, and the words that are no source."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from itm.core.errors import DataError
from itm.data.index import read_index
from itm.data.sources.drawing import MadeSet, draw
from itm.data.sources.parse import name_of


def _write_csv(path, rows, header="path,label,split"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_an_index_names_images_labels_and_splits(petals, take):
    """A CSV index gives paths relative to itself or absolute, labels as text, and splits in the usual spellings."""
    rows = [f"{path.relative_to(petals)},00{path.parent.name == 'rose':d},training" for path in sorted(petals.rglob("*.png"))]
    rows[0] = rows[0].replace("daisy", f"{petals}/rose/../daisy").replace("training", "valid")
    data = take(f"csv:{_write_csv(petals / 'blossoms.csv', rows)}")
    assert (data.name, data.classes, data.images) == ("blossoms", ("000", "001"), 20)
    index = read_index(data)
    assert Counter(index["split"]) == {"train": 19, "val": 1}
    assert index["path"].to_list() == sorted(str(path) for path in petals.rglob("*.png"))


def test_a_parquet_index_may_have_numbers_as_labels(petals, take):
    """A Parquet index is read like a CSV one, and its splits are made where it gives none."""
    paths = [path.relative_to(petals).as_posix() for path in sorted(petals.rglob("*.png"))]
    pl.DataFrame({"path": paths, "label": [7] * 10 + [12] * 10}).write_parquet(petals / "all.parquet")
    data = take(f"parquet:{petals / 'all.parquet'}")
    assert data.classes == ("12", "7")
    assert Counter(read_index(data)["split"]) == {"train": 12, "val": 4, "test": 4}


def test_an_index_cannot_reach_out_of_its_folder(petals, paint, take):
    """Rows that leave the index's folder by dots or an absolute path are set aside unopened; missing files are too."""
    outside = paint(petals.parent / "private" / "1.png", 71)
    rows = [f"{path.relative_to(petals)},{path.parent.name}" for path in petals.rglob("*.png")]
    rows += ["../private/1.png,rose", f"{outside},rose", "rose/nothing.png,rose"]
    data = take(f"csv:{_write_csv(petals / 'index.csv', rows, 'path,label')}")
    bad = read_index(data).filter(status="set aside").select("path", "id", "kind", "reason").rows()
    reason = ("outside the folder", "outside the folder of the index; move the index above its images")
    assert sorted(bad) == sorted(
        [
            ("../private/1.png", None, *reason),
            (str(outside), None, *reason),
            (f"{petals}/rose/nothing.png", None, "missing", "missing: no such file"),
        ]
    )
    assert data.set_aside == {"missing": 1, "outside the folder": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label\na.png,x\n", "there is no column 'path'. Found: file, label"),
        ("path,lable\na.png,x\n", "there is no column 'label'; did you mean 'lable'"),
        ("path,label\na.png,x\nb.png,\n", "row 2 has no label"),
        ("path,label,split\na.png,x,train\nb.png,y,tset\n", "row 2 names the split 'tset'; did you mean 'test'"),
        ("path,label,split\na.png,x,train\nb.png,y,\n", "row 2 has no split"),
        ("path,label\n", "there are no images"),
        ("", "cannot be read as csv"),
    ],
)
def test_an_index_that_is_wrong_names_the_place(tmp_path, take, text, words):
    """Missing columns, empty cells and unknown splits are refused with the column or row and the value."""
    (tmp_path / "index.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        take(f"csv:{tmp_path / 'index.csv'}")


def test_digits_are_the_real_ones(take):
    """The digits are scikit-learn's 1797 images, pixel for pixel, of the right classes."""
    data = take("digits")
    assert (data.name, data.images, data.classes) == ("digits", 1797, tuple("0123456789"))
    digits = load_digits()
    rows = {path[-8:-4]: (path, label) for path, label in read_index(data).select("path", "label").rows()}
    for number in (0, 700, 1796):
        path, label = rows[f"{number:04d}"]
        assert label == digits.target[number]
        assert np.array_equal(np.rint(np.asarray(Image.open(path)) * (16 / 255)), digits.images[number])


def test_made_images_are_drawn_once(take, store):
    """A drawn set holds what `draw` draws, is written once, and its options are part of its name and its folder."""
    data = take("made:shapes?images=20&difficulty=0.8&seed=3")
    assert (data.name, data.images, len(data.classes)) == ("shapes-images20-difficulty0.8-seed3", 20, 10)
    class_name, number, image = next(draw(MadeSet("shapes", 20, 0.8, seed=3)))
    (folder,) = (store.root / "raw").iterdir()
    path = folder / class_name / f"{number:05d}.png"
    assert np.array_equal(np.asarray(Image.open(path)), np.asarray(image))
    written = path.stat().st_mtime_ns
    assert take("made:shapes?seed=3&images=20&difficulty=.80").hash == data.hash
    assert path.stat().st_mtime_ns == written
    assert take("made:shapes?images=20&difficulty=0.8&seed=4").hash != data.hash


def test_made_names_are_short_where_nothing_is_unusual():
    """Options that have their usual value are not spelt out in the name."""
    assert name_of("made:shapes") == name_of("made:shapes?difficulty=0.5&seed=0") == "shapes"
    assert name_of("hard=made:shapes?difficulty=0.9") == "hard"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("foldr:petals", "unknown kind of source 'foldr'; did you mean 'folder'"),
        ("digit", "unknown kind of source 'digit'; did you mean 'digits'"),
        ("no/such/place", "no such folder"),
        ("csv:", "nothing says which csv"),
        ("csv:no.csv", "no such file"),
        ("digits:all", "digits takes nothing"),
        ("=digits", "no name stands before"),
        ("name=", "no source stands after"),
        ("", "unknown kind of source ''"),
        ("made:shape", "no drawn family 'shape'; did you mean 'shapes'"),
        ("made:shapes?dificulty=1", "unknown option 'dificulty'; did you mean 'difficulty'"),
        ("made:shapes?size=big", "size is 'big'; it must be a whole number"),
        ("made:shapes?seed", "'seed' is not an option"),
        ("made:shapes?seed=1&seed=2", "seed is given twice"),
        ("made:shapes?seed=-1", "seed is -1"),
        ("made:shapes?difficulty=nan", "difficulty is nan"),
        ("made:shapes?images=5", "needs two of each"),
    ],
)
def test_words_that_are_no_source_are_refused(take, source, words):
    """What cannot be understood is named, with the nearest known word."""
    with pytest.raises(DataError, match=words.replace("?", r"\?")):
        take(source)


def test_an_index_file_given_bare_is_told_how(tmp_path, take):
    """The path of a file alone is no source; the message shows the words to write."""
    path = _write_csv(tmp_path / "index.csv", ["a.png,x,train"])
    with pytest.raises(DataError, match=f"write csv:{path} or parquet:"):
        take(path)
