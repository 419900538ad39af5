"""Data sets of torchvision, from small files in the formats that torchvision reads."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from itm.core.errors import DataError
from itm.core.torchvision_gate import import_torchvision
from itm.data.index import read_index
from itm.data.sources.parse import parse_source
from itm.data.sources.torchvision_table import CLASSIFICATION, ELSEWHERE, OTHERS

MNIST = {"train": 60, "t10k": 30}


def write_mnist(root: Path, name: str = "MNIST") -> Path:
    """Write images of noise with three classes as idx files."""
    folder, rng = root / name / "raw", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for part, count in MNIST.items():
        pixels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 3
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, count, 28, 28) + pixels.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels.tobytes())
    return root


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST"])
def test_images_in_arrays_are_given_without_loss(tmp_path, take, store, name):
    root = write_mnist(tmp_path / "root", name)
    data = take(f"torchvision:{name}?root={root}")
    assert (data.name, data.images, len(data.target.names), data.rejected) == (name.lower(), 90, 3, {})
    index = read_index(data)
    assert index["split"].value_counts().sort("split").rows() == [("test", 30), ("train", 60)]
    source = pickle.loads(pickle.dumps(parse_source(data.source).source))
    first = index.filter(index["path"].str.ends_with("!train/000000.png"))["path"].item()
    with source.open(first) as stream, Image.open(stream) as image:
        assert np.array_equal(np.asarray(image), np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)[0])
    (written,) = store.unpacked.rglob("*.tar")
    state = written.stat()
    assert take(f"torchvision:{name.lower()}?root={root}") == data.__class__(
        **data.__dict__ | {"source": f"torchvision:{name.lower()}?root={root}"}
    )
    assert written.stat() == state


@pytest.mark.parametrize("folder", ["new", "new!"])  # the mark of a member of an archive
def test_images_that_are_files_are_used_as_files(tmp_path, take, paint, folder):
    root = tmp_path / folder
    for number in range(20):
        name = ("Forest", "River")[number % 2]
        paint(root / "eurosat" / "2750" / name / f"{name}_{number}.png", number)
    data = take(f"torchvision:EuroSAT?root={root}")
    assert (data.target.names, data.images) == (("Forest", "River"), 20)
    path = read_index(data)["path"].sort()[0]
    assert path == f"{root}/eurosat/2750/Forest/Forest_0.png"
    assert parse_source(data.source).source.local_file(path) == path


def test_data_sets_that_open_their_files_themselves_give_their_files(tmp_path, take, paint):
    folder = tmp_path / "oxford-iiit-pet"
    (folder / "annotations").mkdir(parents=True)
    lines = {"trainval": [], "test": []}
    for number in range(24):
        name, part = ("Abyssinian", "beagle")[number % 2], "trainval" if number < 16 else "test"
        paint(folder / "images" / f"{name}_{number}.png", number).rename(folder / "images" / f"{name}_{number}.jpg")
        lines[part].append(f"{name}_{number} {number % 2 + 1} 1 1")
    for part, text in lines.items():
        (folder / "annotations" / f"{part}.txt").write_text("\n".join(text) + "\n")
    data = take(f"torchvision:OxfordIIITPet?root={tmp_path}")
    assert (data.target.names, data.images) == (("Abyssinian", "Beagle"), 24)
    assert read_index(data)["split"].value_counts().sort("split").rows() == [("test", 8), ("train", 16)]


def test_caltech_and_gtsrb_give_their_files(tmp_path, take, paint):
    for number in range(12):
        name = ("anchor", "ant")[number % 2]
        picture = paint(tmp_path / "picture.png", number)
        target = tmp_path / "caltech101" / "101_ObjectCategories" / name / f"image_{number // 2 + 1:04d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.rename(target)
        paint(tmp_path / "gtsrb" / "GTSRB" / "Training" / f"{number % 2:05d}" / f"{number}.ppm", number)
        paint(tmp_path / "gtsrb" / "GTSRB" / "Final_Test" / "Images" / f"{number:05d}.ppm", 100 + number)
    (tmp_path / "caltech101" / "101_ObjectCategories" / "BACKGROUND_Google").mkdir()
    rows = "".join(f"{number:05d}.ppm;12;12;0;0;1;1;{number % 2}\n" for number in range(12))
    (tmp_path / "gtsrb" / "GT-final_test.csv").write_text(f"Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n{rows}")
    assert take(f"torchvision:Caltech101?root={tmp_path}").target.names == ("anchor", "ant")
    data = take(f"torchvision:GTSRB?root={tmp_path}")
    assert (data.images, data.target.names) == (24, ("0", "1"))


def test_pickles_that_were_not_published_are_never_read(tmp_path, take):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="data_batch_1 is not the file that was published: its MD5 differs"):
        take(f"torchvision:CIFAR10?root={tmp_path}")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("CIFAR11", r"torchvision has no such data set; did you mean 'CIFAR10"),
        ("CocoDetection", "has no single class for each image"),
        ("ImageNet", "unpack it and write folder:PATH"),
        ("MNIST?download=perhaps", "download is 'perhaps'; write yes or no"),
        ("MNIST?root=nothing", r"train is not in nothing; name its folder with \?root=FOLDER, or write \?download=yes"),
        ("FER2013?download=yes&root=nothing", "torchvision cannot download it"),
    ],
)
def test_what_cannot_be_read_is_named(take, place, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=words):
        take(f"torchvision:{place}")
    assert not (tmp_path / "nothing").exists()


def test_a_download_that_fails_names_the_cause(take, tmp_path, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(DataError, match=r"cannot be downloaded .*; connect to the network"):
        take(f"torchvision:MNIST?root={tmp_path}&download=yes")


def test_every_data_set_of_torchvision_is_known():
    import_torchvision()
    import torchvision.datasets  # noqa: TID251

    known = {*CLASSIFICATION, *ELSEWHERE, *OTHERS}
    assert known == {*torchvision.datasets.__all__} - {"wrap_dataset_for_transforms_v2"}


def test_the_documentation_names_every_data_set(root):
    page = (root / "docs" / "use" / "your_data.md").read_text(encoding="utf-8")
    assert [name for name in CLASSIFICATION if name not in page] == []
