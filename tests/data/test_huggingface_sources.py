"""Data sets of the package `datasets`: the stored bytes of each image, its class and its split."""

import pickle
from pathlib import Path

import pytest

from itm.core.errors import DataError
from itm.core.extras import MissingExtraError
from itm.data.index import describe_changes, read_index
from itm.data.sources.parse import parse_source

datasets = pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf-cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def table(members, **columns):
    """Return a table with the images, their classes and other columns."""
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["rose", "daisy", "tulip"])}
    values = {
        "image": [{"bytes": content, "path": Path(name).name} for name, content in members.items()],
        "label": [int(name.startswith("daisy")) for name in members],
    }
    for name, (value, feature) in columns.items():
        values[name], features[name] = [value] * len(members), feature
    return datasets.Dataset.from_dict(values, features=datasets.Features(features))


@pytest.fixture
def saved(tmp_path, members):
    """Return the folder of a data set with two splits, which save_to_disk wrote."""
    whole = table(members)
    parts = {"train": whole.select(range(0, 20, 2)), "validation": whole.select(range(1, 20, 2))}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "blossoms"))
    return tmp_path / "blossoms"


def test_a_saved_data_set_has_classes_splits_and_the_stored_bytes(saved, take, members, petals):
    data = take(f"hf:{saved}")
    assert (data.name, data.images, data.target.names, data.rejected) == ("blossoms", 20, ("daisy", "rose"), {})
    index = read_index(data)
    assert index["split"].value_counts().sort("split").rows() == [("train", 10), ("val", 10)]
    ids = dict(read_index(take(petals)).select("id", "target").rows())
    assert dict(index.select("id", "target").rows()) == ids
    source = pickle.loads(pickle.dumps(parse_source(data.source).source))
    with source.open(index["path"].sort()[0]) as stream:
        assert stream.read() == members["daisy/00.png"]
    assert source.is_available(index["path"][0])


@pytest.mark.parametrize("is_folder", [True, False])
def test_parquet_files_are_read(tmp_path, members, take, is_folder):
    path = tmp_path / "petals" / "data" / "petals-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    table(members).to_parquet(str(path))
    data = take(f"flowers=hf:{tmp_path / 'petals' if is_folder else path}")
    assert (data.images, set(read_index(data)["split"])) == (20, {"train", "val", "test"})


def test_columns_of_plain_bytes_and_text_are_read(tmp_path, members, take):
    values = {"picture": [*members.values()], "species": [name.partition("/")[0] for name in members]}
    datasets.Dataset.from_dict(values).to_parquet(str(tmp_path / "petals.parquet"))
    assert take(f"hf:{tmp_path / 'petals.parquet'}?label=species").target.names == ("daisy", "rose")
    with pytest.raises(DataError, match=r"no column is the label. Write \?label=COLUMN. Found: picture \(binary\) and species"):
        take(f"hf:{tmp_path / 'petals.parquet'}")
    with pytest.raises(DataError, match=r"no column 'spezies'; did you mean 'species'"):
        take(f"hf:{tmp_path / 'petals.parquet'}?label=spezies")


def test_columns_that_can_be_meant_are_listed(tmp_path, members, take):
    label = datasets.ClassLabel(names=["a", "b"])
    table(members, mask=(None, datasets.Image()), colour=(1, label)).save_to_disk(str(tmp_path / "petals"))
    words = (
        r"several columns can be the image: image and mask. Write \?image=COLUMN. Found: image \(image\), label \(classlabel\)"
    )
    with pytest.raises(DataError, match=words):
        take(f"hf:{tmp_path / 'petals'}")
    with pytest.raises(DataError, match=r"several columns can be the label: label and colour. Write \?label=COLUMN"):
        take(f"hf:{tmp_path / 'petals'}?image=image")
    assert take(f"hf:{tmp_path / 'petals'}?image=image&label=label").images == 20
    with pytest.raises(DataError, match="the column 'label' has no images"):
        take(f"hf:{tmp_path / 'petals'}?image=label&label=label")


def test_rows_without_image_or_label_are_rejected_and_files_elsewhere_are_opened(tmp_path, petals, members, take):
    petals = petals.rename(tmp_path / "petals!")  # the mark of a member of an archive
    whole = table(members).cast_column("image", datasets.Image(decode=False))
    rows = whole.to_list()
    rows[0]["image"], rows[1]["label"] = None, -1
    rows[2]["image"] = {"bytes": None, "path": str(petals / "daisy" / "04.png")}
    features = datasets.Features(
        image={"bytes": datasets.Value("binary"), "path": datasets.Value("string")}, label=whole.features["label"]
    )
    datasets.Dataset.from_list(rows, features=features).save_to_disk(str(tmp_path / "blossoms"))
    data = take(f"hf:{tmp_path / 'blossoms'}")
    assert (data.images, data.rejected) == (18, {"missing": 1, "no label": 1})
    assert str(petals / "daisy" / "04.png") in read_index(data)["path"].to_list()


def test_splits_are_chosen_and_others_are_ignored(saved, take, tmp_path, members, caplog):
    assert set(read_index(take(f"hf:{saved}?split=train"))["split"]) == {"train", "val", "test"}
    with pytest.raises(DataError, match=r"no split 'valdation'; did you mean 'validation'\? Known: train and validation"):
        take(f"hf:{saved}?split=valdation")
    hidden = table(members).map(lambda _: {"label": -1})
    parts = {"train": table(members), "test": hidden, "unsupervised": hidden}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "others"))
    assert take(f"hf:{tmp_path / 'others'}").rejected == {}
    assert "ignored unsupervised; read one with ?split=NAME" in caplog.text
    assert "ignored the split test, which has no labels" in caplog.text


def test_each_split_has_its_own_order_of_classes(tmp_path, take, members):
    names = ["tulip", "daisy", "rose"]
    train, val = table(members).select(range(0, 20, 2)), table(members).select(range(1, 20, 2))
    features = datasets.Features({**val.features, "label": datasets.ClassLabel(names=names)})
    val = val.map(lambda row: {"label": names.index(train.features["label"].int2str(row["label"]))}, features=features)
    datasets.DatasetDict({"train": train, "validation": val}).save_to_disk(str(tmp_path / "mixed"))
    whole = table(members)
    whole.save_to_disk(str(tmp_path / "whole"))
    targets = [dict(read_index(take(f"hf:{tmp_path / name}")).select("id", "target").rows()) for name in ("mixed", "whole")]
    assert targets[0] == targets[1]


def test_a_split_without_a_column_of_labels_is_left_out(tmp_path, take, members, caplog):
    hidden = table(members).remove_columns("label")
    datasets.DatasetDict({"test": hidden, "train": table(members)}).save_to_disk(str(tmp_path / "hidden"))
    assert take(f"hf:{tmp_path / 'hidden'}").images == 20
    assert "ignored the split test, which has no labels" in caplog.text


def test_a_split_without_images_is_named(tmp_path, take, members):
    parts = {"train": table(members), "test": table(members).remove_columns("image")}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "blind"))
    with pytest.raises(DataError, match=r"blind: the split test: there is no column 'image'. Found: label \(classlabel\)"):
        take(f"hf:{tmp_path / 'blind'}")


def test_a_changed_data_set_is_seen(saved, take, store, members):
    source = f"hf:{saved}"
    take(source)
    assert describe_changes(source, False, store) == ""
    table(members).save_to_disk(str(saved / "extra"))
    assert "files new" in describe_changes(source, False, store)


def test_a_data_set_of_the_hub_can_change_unseen(saved, take, store, monkeypatch):
    assert not parse_source(f"hf:{saved}").source.is_remote
    source = parse_source("hf:owner/blossoms").source
    assert (source.is_remote, source.fingerprint()) == (True, None)
    assert describe_changes("hf:owner/blossoms", False, store) == ""  # it was never read
    parts = datasets.load_from_disk(str(saved))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: parts)
    take("hf:owner/blossoms")
    assert describe_changes("hf:owner/blossoms", False, store).startswith(
        "its images are elsewhere; the next refresh finds out"
    )


def test_a_folder_named_like_a_data_set_of_the_hub_is_told(saved, take, monkeypatch, caplog):
    monkeypatch.chdir(saved.parent)
    caplog.set_level("INFO")
    assert take("hf:blossoms").images == 20
    assert "hf:blossoms: reading the folder of this name, not the Hub" in caplog.text


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("owner/nothing", "is not on this machine, and the Hub cannot be reached; connect to the network, or name a folder"),
        ("./nothing", "there is no such folder or file"),
        ("json", "is neither a folder or Parquet file on this machine nor a name on the Hub"),
        ("a/b/c", "is neither a folder or Parquet file on this machine nor a name on the Hub"),
    ],
)
def test_what_cannot_be_loaded_is_named(take, place, words):
    with pytest.raises(DataError, match=words):
        take(f"hf:{place}")


def test_a_missing_package_names_the_extra(saved, take, monkeypatch):
    monkeypatch.setattr("itm.core.extras.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"needs datasets; run pip install 'itm-rank\[hf\]'"):
        take(f"hf:{saved}")
