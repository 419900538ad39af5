"""Lists of a path and a label on each line, and exports of FiftyOne."""

import json

import pytest

from itm.core.errors import DataError
from itm.data.index import describe_changes, read_index


def lines(petals, numbers, separator=" ", prefix=""):
    """Return lines with the number of the class for images of `petals`."""
    names = [path.relative_to(petals).as_posix() for path in sorted(petals.rglob("*.png"))]
    return "".join(f"{prefix}{names[n]}{separator}{int(names[n].startswith('rose'))}\n" for n in numbers)


def test_lists_beside_each_other_are_splits_and_numbers_get_names(petals, take, caplog):
    caplog.set_level("INFO")
    (petals / "train.txt").write_text(lines(petals, range(0, 20, 2)))
    (petals / "val.txt").write_text(lines(petals, range(1, 20, 2), "\t"))
    (petals / "test.txt").write_text("daisy/00.png\n")
    (petals / "synset_words.txt").write_text("n11939491 daisy\nn04971313 rose, rosa\n")
    data = take(f"list:{petals / 'train.txt'}")
    assert (data.name, data.images, data.target.names) == ("petals", 20, ("daisy", "rose, rosa"))
    assert read_index(data)["split"].value_counts().sort("split").rows() == [("train", 10), ("val", 10)]
    assert "test.txt: ignored, since its lines have no labels" in caplog.text
    assert "synset_words.txt: has the names of the numbered classes" in caplog.text


def test_paths_of_each_list_may_be_below_its_split(petals, take):
    inside = {"train": range(0, 20, 2), "val": range(1, 20, 2)}
    texts = {split: lines(petals, numbers) for split, numbers in inside.items()}
    for split in inside:
        for line in texts[split].splitlines():
            path = petals / line.rpartition(" ")[0]
            target = petals / split / path.relative_to(petals)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        (petals / f"{split}.txt").write_text(texts[split])
    assert take(f"list:{petals / 'train.txt'}").images == 20


def test_paths_may_hold_blanks_and_labels_may_be_words(petals, take):
    (petals / "rose").rename(petals / "red rose")
    texts = [f"{path.relative_to(petals)}\t{path.parent.name}\n" for path in sorted(petals.rglob("*.png"))]
    (petals / "all images.txt").write_text("".join(texts).replace("\tdaisy", " daisy"), encoding="utf-16")
    data = take(f"list:{petals / 'all images.txt'}")
    assert (data.name, data.target.names, data.images) == ("all images", ("daisy", "red rose"), 20)


def test_bad_lines_are_rejected_by_number(petals, take):
    text = lines(petals, range(20)).splitlines()
    text[2], text[4] = text[2].rpartition(" ")[0], "../outside.png 1"
    text[6] = "rose/nothing.png 1"
    (petals / "all.txt").write_text("\n".join([*text[:3], "", *text[3:]]))
    data = take(f"list:{petals / 'all.txt'}")
    assert (data.images, data.rejected) == (17, {"missing": 1, "no label": 1, "outside the folder": 1})
    reasons = read_index(data).filter(status="rejected")["reason"].to_list()
    assert "row 3 has no label (line 3)" in reasons


def test_a_list_may_name_a_root_and_count_from_one(petals, tmp_path, take, caplog):
    caplog.set_level("INFO")
    (tmp_path / "lists").mkdir()
    text = lines(petals, range(20)).replace(" 1\n", " 2\n").replace(" 0\n", " 1\n")
    (tmp_path / "lists" / "all.lst").write_text(text)
    (tmp_path / "lists" / "classes.txt").write_text("daisy\nrose\n")
    data = take(f"list:{tmp_path / 'lists' / 'all.lst'}?root={petals}")
    assert data.target.names == ("daisy", "rose")
    assert "which count from 1" in caplog.text
    (tmp_path / "lists" / "classes.txt").write_text("2 Rose\n1 Daisy\n")
    assert take(f"list:{tmp_path / 'lists' / 'all.lst'}?root={petals}").target.names == ("Daisy", "Rose")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("speed limit 20\nspeed limit 30\n", ["speed limit 20", "speed limit 30"]),
        ("737 Boeing\n320 Airbus\n", ["737 Boeing", "320 Airbus"]),
        ("Boeing 1\nBoeing 2\n", ["Boeing 1", "Boeing 2"]),
        ("rose 1\ndaisy 0\n", ["daisy", "rose"]),
        ("2: rose\n1: daisy\n", ["daisy", "rose"]),
    ],
)
def test_numbers_in_the_names_of_classes_are_kept_unless_they_count_the_classes(petals, take, names, expected):
    text = lines(petals, range(20))
    (petals / "all.lst").write_text(text.replace(" 1\n", " 2\n").replace(" 0\n", " 1\n") if ":" in names else text)
    (petals / "classes.txt").write_text(names)
    targets = dict(read_index(take(f"list:{petals / 'all.lst'}")).select("path", "target").rows())
    assert [targets[f"{petals}/{name}"] for name in ("daisy/00.png", "rose/01.png")] == expected


def test_a_changed_list_is_seen(petals, take, store):
    (petals / "train.txt").write_text(lines(petals, range(0, 20, 2)))
    (petals / "val.txt").write_text(lines(petals, range(1, 20, 2)))
    source = f"list:{petals / 'train.txt'}"
    take(source)
    assert describe_changes(source, False, store) == ""
    (petals / "val.txt").unlink()
    assert "10 files gone" in describe_changes(source, False, store)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.png,1\nb.png,2\n", r"if commas separate, add a first line path,label and write csv:"),
        ("", "there are no images"),
        (None, "no such file; check the path"),
    ],
)
def test_what_is_no_list_is_named(tmp_path, take, text, words):
    if text is not None:
        (tmp_path / "all.txt").write_text(text)
    with pytest.raises(DataError, match=words):
        take(f"list:{tmp_path / 'all.txt'}")


def test_two_lists_of_one_split_are_refused(petals, take):
    for name in ("train", "val", "valid"):
        (petals / f"{name}.txt").write_text(lines(petals, range(20)))
    with pytest.raises(DataError, match=r"both val.txt and valid.txt beside it are lists of val; rename one"):
        take(f"list:{petals / 'train.txt'}")


@pytest.fixture
def export(petals):
    """Return a folder with all images in `data`, as FiftyOne exports them."""
    folder = petals.parent / "export"
    (folder / "data").mkdir(parents=True)
    for path in petals.rglob("*.png"):
        path.rename(folder / "data" / f"{path.parent.name}-{path.name}")
    return folder


def test_a_classification_export_is_read(export, take):
    labels = {path.stem: int(path.name.startswith("rose")) for path in (export / "data").iterdir()}
    labels |= {"daisy-00": None, "rose-01": {"label": 1, "confidence": 0.5}, "rose-99": 1}
    (export / "labels.json").write_text(json.dumps({"classes": ["daisy", "rose"], "labels": labels}))
    data = take(f"fiftyone:{export}")
    assert (data.name, data.images, data.target.names) == ("export", 19, ("daisy", "rose"))
    assert data.rejected == {"missing": 1, "no label": 1}


def test_a_missing_image_does_not_take_the_label_of_another_one(export, take):
    labels = {path.stem: int(path.name.startswith("rose")) for path in (export / "data").iterdir()}
    labels["rose-01.png"] = labels.pop("rose-01")
    labels |= {"daisy-00.v2": 1, "rose-99.png": 1}
    (export / "labels.json").write_text(json.dumps({"classes": ["daisy", "rose"], "labels": labels}))
    data = take(f"fiftyone:{export}")
    assert (data.images, data.rejected) == (20, {"missing": 2})


def test_an_export_of_samples_has_splits_and_fields(export, take):
    samples = [
        {
            "filepath": f"data/{path.name}",
            "tags": ["train" if number < 14 else "validation", "good"],
            "ground_truth": {"_cls": "Classification", "label": path.name.partition("-")[0]},
            "boxes": {"_cls": "Detections", "detections": []},
        }
        for number, path in enumerate(sorted((export / "data").iterdir(), key=lambda path: path.name[-6:]))
    ]
    (export / "samples.json").write_text(json.dumps({"samples": samples}))
    data = take(f"fiftyone:{export}")
    assert (data.images, data.target.names) == (20, ("daisy", "rose"))
    assert read_index(data)["split"].value_counts().sort("split").rows() == [("train", 14), ("val", 6)]
    samples[0]["guess"] = {"_cls": "Classification", "label": "rose"}
    (export / "samples.json").write_text(json.dumps({"samples": samples}))
    with pytest.raises(DataError, match=r"write \?label=FIELD, since 2 fields have a class: ground_truth, guess"):
        take(f"fiftyone:{export}")
    assert take(f"fiftyone:{export}?label=ground_truth").images == 20
    with pytest.raises(DataError, match="no field 'ground_thruth' has a class; did you mean 'ground_truth'"):
        take(f"fiftyone:{export}?label=ground_thruth")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "has neither samples.json nor labels.json; name the folder of the export"),
        ("{", "labels.json: cannot be read"),
        ('{"images": []}', "is no export for classification"),
    ],
)
def test_what_is_no_export_is_named(tmp_path, take, text, words):
    if text is not None:
        (tmp_path / "labels.json").write_text(text)
    with pytest.raises(DataError, match=words):
        take(f"fiftyone:{tmp_path}")
