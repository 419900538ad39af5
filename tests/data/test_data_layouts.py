"""Folders that can be read in two ways: the right reading is taken and logged, or an error says what to rename."""

import os
from collections import Counter
from pathlib import Path

import pytest

from itm.core.errors import DataError
from itm.data.index import describe_changes, read_index


@pytest.fixture
def fill(tmp_path, paint):
    """Return a function that writes images into folders, four each or as many as named."""
    numbers = iter(range(10_000))

    def write(*folders, images=4):
        for folder in folders:
            for _ in range(images):
                paint(tmp_path / "set" / folder / f"{(number := next(numbers))}.png", number)
        return tmp_path / "set"

    return write


def _classes(folders):
    return [f"{folder}/{name}" for folder in folders for name in ("cat", "dog")]


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("Train", "VAL", "Test"),
        ("train2017", "val2017", "test2017"),
        ("training_set", "validation_set", "test_set"),
        ("train_images", "dev", "testing-data"),
    ],
)
def test_split_folders_are_found_in_other_spellings(fill, take, caplog, names):
    caplog.set_level("INFO", "itm")
    data = take(fill(*_classes(names)))
    assert data.target.names == ("cat", "dog")
    assert Counter(read_index(data)["split"]) == {"train": 8, "val": 8, "test": 8}
    if names[0] != "train":
        assert f"{names[0]} as train" in caplog.text.partition("set: reading as splits: ")[2]


def test_train_in_two_spellings_is_one_split(fill, take):
    assert Counter(read_index(take(fill(*_classes(["train", "Train", "test"]))))["split"]) == {"train": 16, "test": 8}


@pytest.mark.parametrize("other", ["unlabeled/images", "extra/cat", "notes"])
def test_a_folder_beside_the_splits_is_ignored_with_a_warning(fill, take, caplog, other):
    data = take(fill(*_classes(["train", "test"]), other))
    assert (data.target.names, data.images) == (("cat", "dog"), 16)
    assert f"reading test and train as splits; ignored the other folder, {other.partition('/')[0]}" in caplog.text


def test_unsorted_test_images_beside_the_splits_are_no_class(fill, take, caplog):
    data = take(fill(*_classes(["train"]), "test", "unlabeled"))
    assert (data.target.names, data.images) == (("cat", "dog"), 8)
    assert "ignored 4 files outside the class folders" in caplog.text


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (_classes(["train", "holdout"]), r"train looks like a split, .* holdout does not; .* folder:.*set/train"),
        ([*_classes(["train"]), "unlabeled"], "unlabeled does not"),
        (_classes(["val", "test"]), "test and val look like splits, since all of them hold cat and dog, but there is no train"),
        (_classes(["test", "validation", "more"]), "there is no train"),
    ],
)
def test_folders_that_look_like_splits_and_classes_are_refused(fill, take, folders, words):
    with pytest.raises(DataError, match=words):
        take(fill(*folders))


@pytest.mark.parametrize("around", ["set", "images", "a/b/c", "images/deep"])
def test_a_folder_around_the_classes_is_opened(fill, take, caplog, around):
    caplog.set_level("INFO", "itm")
    data = take(fill(*_classes([around])))
    assert data.target.names == ("cat", "dog")
    assert f"reading its only folder with images, {around.partition('/')[0]}" in caplog.text


def test_folders_around_and_inside_the_splits_are_opened(fill, take):
    data = take(fill(*_classes(["images/train/images", "images/val/images"])))
    assert Counter(read_index(data)["split"]) == {"train": 8, "val": 8}


@pytest.mark.parametrize("beside", ["annotations/a.xml", "labels/1.txt", "meta/list.json"])
def test_a_folder_of_other_files_beside_the_images_is_ignored_with_a_warning(fill, take, caplog, beside):
    folder = fill(*_classes(["images"]))
    (folder / beside).parent.mkdir()
    (folder / beside).write_text("no image")
    assert take(folder).target.names == ("cat", "dog")
    assert f"set: ignored folders without images: {beside.partition('/')[0]}" in caplog.text


def test_splits_inside_the_classes_are_kept(fill, take, caplog):
    caplog.set_level("INFO", "itm")
    data = take(fill("cat/train", "cat/test", "dog/train", "dog/test"))
    assert (data.target.names, Counter(read_index(data)["split"])) == (("cat", "dog"), {"train": 8, "test": 8})
    assert "each class folder holds splits" in caplog.text


def test_classes_with_inner_folders_give_a_warning(fill, take, caplog):
    data = take(fill("animal/cat", "animal/dog", "plant/rose", "plant/moss"))
    assert data.target.names == ("animal", "plant")
    assert "animal and plant only hold folders (cat, dog, moss and rose); each is read as one class" in caplog.text


def test_classes_that_a_split_lacks_are_named(fill, take, caplog):
    take(fill(*_classes(["train", "val"]), "train/eel", "test/cat"))
    assert "set: the split val has no image of 'eel'" in caplog.text
    assert "set: the split test has no image of 'dog' and 'eel'" in caplog.text


def test_classes_of_a_split_that_train_lacks_are_refused(fill, take):
    with pytest.raises(DataError, match="val or test has classes that train lacks: 'Cat'"):
        take(fill(*_classes(["train", "test"]), "test/Cat"))


def test_a_folder_that_cannot_be_listed_rejects_itself_only(fill, take, monkeypatch):
    folder = fill(*_classes(["."]), "cat/secret")
    scan = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    data = take(folder)
    assert (data.images, data.rejected) == (8, {"unreadable": 1})
    (reason,) = read_index(data).filter(status="rejected")["reason"]
    assert reason == "unreadable: the folder cannot be listed (Permission denied); allow reading it"


def test_an_index_beside_the_images_is_suggested(fill, take):
    folder = fill(".")
    (folder / "labels.csv").write_text("path,label")
    with pytest.raises(
        DataError, match=r"has 5 files but no class folders; .*, or write csv:.*labels\.csv if that is an index"
    ):
        take(folder)


CLUTTER = (
    "Thumbs.db",
    "desktop.ini",
    "._rose.jpg",
    ".DS_Store",
    "Icon\r",
    "rose.jpg.part",
    "~$notes.docx",
    "rose.png.dvc",
    ".gitkeep",
    "index.html",
    "rose.sync-conflict-20260101-120000-ABC.png",
    "rose (Ann's conflicted copy 2026-01-01).png",
    "rose.png~",
    "rose.jpg.crdownload",
    "rose.xmp",
    "rose.thm",
    "_SUCCESS",
)
FOLDERS = ("__MACOSX", "@eaDir", ".ipynb_checkpoints", "lost+found", "$RECYCLE.BIN", "System Volume Information", ".thumbnails")


@pytest.mark.parametrize("name", CLUTTER)
def test_files_of_other_systems_are_no_images_and_no_class(petals, take, caplog, name):
    caplog.set_level("INFO", "itm")
    (petals / "rose" / name).write_bytes(b"no image")
    (petals / name).write_bytes(b"no image")
    (petals / "only").mkdir()
    (petals / "only" / name).write_bytes(b"no image")
    data = take(petals)
    assert (data.images, data.rejected, data.target.names) == (20, {}, ("daisy", "rose"))
    assert caplog.messages[0] == f"{petals}: ignored 3 hidden files or files of other systems: {name}"


def test_a_hidden_file_whose_name_is_no_text_is_logged(petals, take, caplog):
    caplog.set_level("INFO", "itm")
    Path(os.fsdecode(os.fsencode(petals / "rose") + b"/.\xff")).touch()
    take(petals)
    assert caplog.messages[0].endswith("ignored 1 hidden file or files of other systems: .\\udcff")


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_other_systems_are_no_class(petals, paint, take, name):
    for number, folder in enumerate((petals / name, petals / "rose" / name, petals / name / "rose")):
        paint(folder / f"{number}.png", 90 + number)
    data = take(petals)
    assert (data.images, data.rejected, data.target.names) == (20, {}, ("daisy", "rose"))


def test_an_index_may_not_name_files_of_other_systems(petals, paint, take):
    rows = [f"{path.relative_to(petals)},{path.parent.name}" for path in sorted(petals.rglob("*.png"))]
    for number, name in enumerate(("rose/@eaDir/01.png", "rose/._01.png", "rose/Thumbs.db")):
        rows.append(f"{name},rose")
        paint((petals / name).with_suffix(".png"), 90 + number)
    (petals / "index.csv").write_text("\n".join(["path,label", *rows]))
    assert take(f"csv:{petals}/index.csv").rejected == {"system file": 3}


def test_status_sees_new_files_of_a_sampled_folder(petals, paint, take, store):
    source = f"folder:{petals}"
    take(source, max_images=8)
    assert describe_changes(source, True, store) == ""
    paint(petals / "rose" / "99.png", 99)
    assert describe_changes(source, True, store).startswith("1 file more than before;")
    (petals / "rose" / "01.png").unlink()
    assert "files with other names" in describe_changes(source, True, store)
    (petals / "rose" / "03.png").unlink()
    assert "1 file fewer than before" in describe_changes(source, True, store)


def test_status_ignores_rows_that_are_rejected_every_time(petals, paint, take, store):
    rows = [f"{path.relative_to(petals)},{path.parent.name}" for path in sorted(petals.rglob("*.png"))]
    rows += ["nothing.png,rose", ",rose", f"{paint(petals.parent / 'private' / '1.png', 71)},rose", "rose/x.png,NaN"]
    (petals / "index.csv").write_text("\n".join(["path,label", *rows]))
    source = f"csv:{petals}/index.csv"
    take(source)
    assert describe_changes(source, False, store) == ""
    paint(petals / "nothing.png", 72)
    assert describe_changes(source, False, store).startswith("1 file new")
