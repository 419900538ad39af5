"""Shards of WebDataset are read where they are; samples that are not complete are rejected."""

import json

import pytest

from itm.core.errors import DataError
from itm.data.index import describe_changes, read_index
from itm.data.sources.parse import parse_source
from tests.data.archives import pack


def samples(members, numbers, label="cls"):
    """Return the members of a shard: each image with its class."""
    found = {}
    for number in numbers:
        name = sorted(members)[number]
        class_number = int(name.startswith("rose"))
        found[f"{number:06d}.png"] = members[name]
        found[f"{number:06d}.{label}"] = str(class_number).encode()
    return found


@pytest.fixture
def shards(tmp_path, members):
    """Return a folder with two shards of train and one of test, and the names of the classes."""
    folder = tmp_path / "blossoms"
    for name, numbers in {
        "train-000000": range(0, 20, 3),
        "train-000001": range(1, 20, 3),
        "test-000000": range(2, 20, 3),
    }.items():
        pack(folder / f"{name}.tar", samples(members, numbers))
    (folder / "classes.txt").write_text("daisy\nrose\n")
    return folder


def test_shards_have_splits_and_names_of_classes(shards, take, petals, members):
    data = take(f"wds:{shards}")
    assert (data.name, data.images, data.target.names, data.rejected) == ("blossoms", 20, ("daisy", "rose"), {})
    index = read_index(data)
    assert index["split"].value_counts().sort("split").rows() == [("test", 6), ("train", 14)]
    assert set(index["id"]) == set(read_index(take(petals))["id"])
    location = index["path"].sort()[0]
    assert location == f"{shards}/test-000000.tar!000002.png"
    with parse_source(data.source).source.open(location) as stream:
        assert stream.read() == members[sorted(members)[2]]


def test_shards_of_the_same_name_in_several_folders_are_kept_apart(tmp_path, members, take, store, caplog):
    folder = tmp_path / "blossoms"
    inside = {"train/000": range(0, 20, 3), "train/001": range(1, 20, 3), "val/000": range(2, 18, 3), "extra/000": [18]}
    for name, numbers in inside.items():
        pack(folder / f"{name}.tar", samples(members, numbers))
    listing = parse_source(f"wds:{folder}").source.list(store)
    assert len({row.relative for row in listing.rows}) == 20
    assert {row.relative.rpartition("/")[0] for row in listing.rows} == {"train/000.tar", "train/001.tar", "val/000.tar"}
    index = read_index(take(f"wds:{folder}"))
    assert index["split"].value_counts().sort("split").rows() == [("train", 14), ("val", 6)]
    assert "ignored shards without a split in the name: extra/000.tar" in caplog.text


def test_images_whose_keys_hold_dots_are_rejected_with_the_fix(tmp_path, members, take):
    found = samples(members, range(18)) | {f"img.{number}.png": members["rose/19.png"] for number in (1, 2)}
    rejected = read_index(take(f"wds:{pack(tmp_path / 'all.tar', found)}")).filter(status="rejected")
    assert "several images: 1.png and 2.png; members whose names agree up to the first dot" in rejected["reason"].item()


@pytest.mark.parametrize("pattern", ["train-{000000..000001}.tar", "train-*.tar"])
def test_shards_of_one_split_are_split_again(shards, take, pattern):
    data = take(f"wds:{shards}/{pattern}")
    assert (data.name, data.images) == ("blossoms", 14)
    assert set(read_index(take(f"wds:{shards}/test-000000.tar"))["split"]) == {"train", "val", "test"}


def test_labels_may_be_text_or_fields_of_json(tmp_path, members, take):
    found = {}
    for number, (name, content) in enumerate(members.items()):
        found[f"a/{number}.jpg"] = content
        found[f"a/{number}.json"] = json.dumps({"species": name.partition("/")[0], "width": 12, "tags": ["x"]}).encode()
    shard = pack(tmp_path / "shard.tar", found)
    assert take(f"wds:{shard}?label=species").target.names == ("daisy", "rose")
    with pytest.raises(DataError, match=r"no field label; name one with \?label=FIELD. Found: species, width, tags"):
        take(f"wds:{shard}")
    with pytest.raises(DataError, match="the field 'tags' holds list and no text or whole number"):
        take(f"wds:{shard}?label=tags")


def test_samples_that_are_not_complete_are_rejected(tmp_path, members, take):
    found = samples(members, range(20))
    del found["000001.cls"], found["000003.png"]
    found |= {"000005.jpg": b"second image", "000007.seg.png": b"a mask"}
    data = take(f"wds:{pack(tmp_path / 'all.tar', found)}")
    assert (data.images, data.rejected) == (17, {"missing": 1, "no label": 1, "unsupported": 1})
    reasons = dict(read_index(data).filter(status="rejected").select("rejection", "reason").rows())
    assert reasons == {
        "missing": "missing: the sample has no image, only cls",
        "no label": "no label: the sample has no member cls or json",
        "unsupported": "unsupported: the sample has several images: png and jpg; members whose names agree up to the first dot "
        "are one sample, so rename or remove the others",
    }


def test_a_damaged_shard_is_rejected_and_the_others_are_used(shards, take):
    path = shards / "train-000001.tar"
    path.write_bytes(path.read_bytes()[:5000])
    (shards / "train-000002.tar").write_bytes(b"no shard" * 100)
    data = take(f"wds:{shards}")
    assert data.rejected == {"no label": 1, "truncated or damaged": 1, "unreadable": 1}  # the last sample is cut
    assert 14 <= data.images < 20
    rejected = dict(read_index(data).filter(status="rejected").select("path", "reason").rows())
    assert "the samples before are used" in rejected[f"{shards}/train-000001.tar"]
    assert "is no tar file or is damaged" in rejected[f"{shards}/train-000002.tar"]


def test_names_that_do_not_fit_the_labels_are_not_used(shards, take, caplog):
    (shards / "classes.txt").write_text("daisy\n")
    caplog.set_level("INFO")
    assert take(f"wds:{shards}").target.names == ("0", "1")
    assert "has 1 names, and none for the label 1; not used" in caplog.text
    (shards / "classes.txt").write_text("daisy\ndaisy\n")
    with pytest.raises(DataError, match=r"classes.txt: has a name twice"):
        take(f"wds:{shards}")


def test_new_shards_are_seen(shards, take, store, members):
    source = f"wds:{shards}"
    take(source)
    assert describe_changes(source, False, store) == ""
    pack(shards / "train-000002.tar", samples(members, [0]))
    (shards / "test-000000.tar").unlink()
    assert describe_changes(source, False, store).startswith("1 file new, 1 file gone;")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("https://example.org/{000..012}.tar", "is an address; download the shards"),
        ("{folder}/train-{000000..000004}.tar", r"train-000002.tar: there is no such shard"),
        ("{folder}/nothing-*.tar", "no such folder or shard"),
        ("{folder}/nothing.tar", "nothing.tar: no such folder or shard; check the path"),
        ("{empty}", "holds no tar files"),
    ],
)
def test_missing_shards_are_named(shards, take, tmp_path, place, words):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=words):
        take("wds:" + place.replace("{folder}", str(shards)).replace("{empty}", str(tmp_path / "empty")))
