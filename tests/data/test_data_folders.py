"""A folder of images becomes an index of classes, and a folder that is none says what is wrong."""

import os
from collections import Counter
from pathlib import Path

import pytest

from itm.core.errors import DataError
from itm.data.index import read_index
from itm.data.sources.parse import parse_source


def test_each_sub_folder_is_a_class(petals, take):
    data = take(f"folder:{petals}")
    index = read_index(data)
    assert (data.name, data.target.names, data.images, data.rejected) == ("petals", ("daisy", "rose"), 20, {})
    assert index["path"].to_list() == sorted(str(path) for path in petals.rglob("*.png"))
    assert set(index["target"]) == {"daisy", "rose"}
    assert index["width"].unique().to_list() == [12]


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid", "testing"), ("train", "validation", "test")])
def test_split_folders_are_kept(tmp_path, paint, take, names):
    sizes = (4, 2, 3)
    for part, (name, size) in enumerate(zip(names, sizes, strict=True)):
        for number in range(2 * size):
            paint(tmp_path / "set" / name / "ab"[number % 2] / f"{number}.png", 100 * part + number)
    index = read_index(take(tmp_path / "set"))
    assert Counter(index["split"]) == {"train": 8, "val": 4, "test": 6}
    assert all(
        Path(path).parts[-3] == names[("train", "val", "test").index(s)] for path, s in index.select("path", "split").rows()
    )


@pytest.mark.parametrize("names", [("val", "test"), ("train", "bus")])
def test_class_folders_with_split_names_stay_classes(tmp_path, paint, take, names):
    for number in range(6):
        paint(tmp_path / "set" / names[number % 2] / f"{number}.png", number)
    assert take(tmp_path / "set").target.names == tuple(sorted(names))


def test_hidden_files_are_ignored_and_deep_files_found(petals, paint, take):
    paint(petals / "rose" / "red" / "deep" / "31.png", 31)
    paint(petals / "rose" / ".cache" / "32.png", 32)
    (petals / "rose" / ".DS_Store").write_bytes(b"finder")
    paint(petals / ".git" / "33.png", 33)
    (petals / "rose" / "linked.png").symlink_to(paint(petals.parent / "elsewhere" / "34.png", 34))
    (petals / "rose" / "ring").symlink_to(petals / "rose", target_is_directory=True)
    data = take(petals)
    added = {Path(path).relative_to(petals).as_posix() for path in read_index(data)["path"]} & {
        "rose/red/deep/31.png",
        "rose/linked.png",
    }
    assert (data.images, len(added), data.target.names, data.rejected) == (22, 2, ("daisy", "rose"), {})


def test_files_beside_the_class_folders_are_counted_aloud(petals, take, caplog):
    (petals / "README.txt").write_text("about")
    assert take(petals).images == 20
    assert caplog.messages == [f"{petals}: ignored 1 file outside the class folders"]


def test_a_file_whose_name_is_not_text_is_rejected(petals, take):
    strange = os.fsencode(petals / "rose") + b"/\xff.png"
    Path(os.fsdecode(strange)).write_bytes((petals / "rose" / "01.png").read_bytes() + b"x")
    data = take(petals)
    bad = read_index(data).filter(status="rejected")
    assert bad.select("rejection", "reason").rows() == [("unreadable", "unreadable: the name of the file is not UTF-8")]


def test_errors_name_what_is_wrong_with_the_folder(tmp_path, paint, take):
    (tmp_path / "empty").mkdir()
    flat = paint(tmp_path / "flat" / "1.png", 1)
    paint(tmp_path / "single" / "only" / "1.png", 1)
    (tmp_path / "hollow" / "a").mkdir(parents=True)
    cases = {
        f"folder:{tmp_path}/nothing": "no such folder",
        f"folder:{flat}": "is a file, not a folder",
        f"folder:{tmp_path}/empty": "is empty",
        f"folder:{tmp_path}/flat": "has 1 file but no class folders",
        f"folder:{tmp_path}/single": "only one class, 'only'",
        f"folder:{tmp_path}/hollow": "there are no images",
    }
    for source, words in cases.items():
        with pytest.raises(DataError, match=words):
            take(source)


def test_all_classes_with_too_few_images_are_named_at_once(petals, paint, take):
    paint(petals / "lily" / "1.png", 50)
    (petals / "lily" / "2.png").write_text("no image")
    (petals / "moss").mkdir()
    with pytest.raises(
        DataError,
        match=r"'lily' \(1\) and 'moss' \(0\); add images or remove the classes\. Rejected: 1 not an image; first: .*2\.png",
    ):
        take(petals)


def test_a_class_that_train_lacks_is_refused(tmp_path, paint, take):
    for number in range(8):
        paint(tmp_path / "set" / ("train", "test")[number // 4] / "ab"[number % 2] / f"{number}.png", number)
    paint(tmp_path / "set" / "test" / "c" / "8.png", 8)
    paint(tmp_path / "set" / "test" / "c" / "9.png", 9)
    with pytest.raises(DataError, match="classes that train lacks: 'c'"):
        take(tmp_path / "set")


def test_the_index_is_the_same_in_another_clone(petals, take, tmp_path, monkeypatch):
    absolute = take(petals)
    written = []
    for clone in ("one", "two"):
        (tmp_path / clone).mkdir()
        petals = petals.rename(tmp_path / clone / "petals")
        monkeypatch.chdir(tmp_path / clone)
        data = take("folder:petals")
        written.append(data.index.read_bytes())
        assert data.hash == absolute.hash
    assert written[0] == written[1]


def test_a_second_ingest_changes_nothing(petals, take):
    (petals / "rose" / "note.txt").write_text("no image")
    first = take(petals)
    before = first.index.stat()
    assert take(petals) == first
    after = first.index.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_changed_image_changes_the_hash(petals, paint, take):
    before = take(petals)
    paint(petals / "rose" / "01.png", 99)
    after = take(petals)
    assert after.hash != before.hash
    assert after.images == before.images


def test_a_damaged_index_is_written_again(petals, take, caplog):
    data = take(petals)
    whole = data.index.read_bytes()
    data.index.write_bytes(whole[:100])
    assert take(petals) == data
    assert data.index.read_bytes() == whole
    assert "writing the index again" in caplog.text


def test_a_name_is_derived_or_given(petals, take, monkeypatch):
    assert take(f"blossoms=folder:{petals}").name == "blossoms"
    assert take(f"blossoms={petals}").index.stem == "blossoms"
    monkeypatch.chdir(petals)
    names = [parse_source(source).name for source in ("folder:.", "..", f"folder:{petals}/")]
    assert names == ["petals", petals.parent.name, "petals"]
