"""`itm rank` on every kind of source, in one command: the same images from each give the same ranking."""

import json
from pathlib import Path

import pytest

from itm.store.layout import Store
from itm.store.ranking_file import read_ranking
from tests.data.archives import pack
from tests.data.test_torchvision_sources import write_mnist

MODEL = "test_resnet.drawn_short"


def write_sources(folder: Path, petals: Path, members: dict[str, bytes]) -> list[str]:
    """Write the same twenty images for each source, and return the texts of the sources."""
    datasets = pytest.importorskip("datasets")
    classes = [name.partition("/")[0] for name in members]
    pack(folder / "zipped.zip", members)
    pack(folder / "tarred.tar.gz", members)
    samples = {f"{number:03d}.png": content for number, content in enumerate(members.values())}
    labels = {f"{number:03d}.cls": name.encode() for number, name in enumerate(classes)}
    pack(folder / "shards" / "all-000000.tar", dict(sorted((samples | labels).items())))
    values = {"image": [{"bytes": content, "path": None} for content in members.values()], "label": classes}
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=sorted(set(classes))))
    values["label"] = [features["label"].str2int(name) for name in classes]
    datasets.Dataset.from_dict(values, features=features).save_to_disk(str(folder / "saved"))
    labelled = dict(zip(members, classes, strict=True))
    lines = [f"{petals / name},{label}" for name, label in labelled.items()]
    (folder / "absolute.csv").write_text("\n".join(["path,label", *lines]))
    (folder / "lines.txt").write_text("".join(f"{name} {label}\n" for name, label in labelled.items()))
    export = {"classes": None, "labels": {name.rpartition(".")[0]: label for name, label in labelled.items()}}
    (folder / "export").mkdir()
    (folder / "export" / "labels.json").write_text(json.dumps(export))
    (folder / "export" / "data").symlink_to(petals)
    return [
        "zipped.zip",
        "tarred.tar.gz",
        "wds:shards",
        "hf:saved",
        f"csv:absolute.csv?root={petals}",
        f"list:lines.txt?root={petals}",
        "fiftyone:export",
        f"mnist=torchvision:MNIST?root={write_mnist(folder / 'cached')}",
    ]


@pytest.mark.slow
def test_the_same_images_rank_alike_from_every_source(project, call, petals, members):
    folder = project(zoo={"models": [MODEL]})
    sources = write_sources(folder, petals, members)
    printed = call("rank", str(petals), *sources).stdout
    assert "mnist: 90 images, 3 classes" in " ".join(printed.split())
    store = Store(folder / "kept")
    (results,) = store.trials.iterdir()
    ranked = {data.data: data for data in read_ranking(store.for_ranking(results.name)).data_sets}
    assert set(ranked) == {"petals", "zipped", "tarred", "shards", "saved", "absolute", "lines", "export", "mnist"}
    assert all(not data.rejected and not data.reason and data.rows[0].rank == 1 for data in ranked.values())
    del ranked["mnist"]
    assert len({data.rows[0].scores["knn"].value for data in ranked.values()}) == 1
    assert call("rank", str(petals), *sources).stdout == printed
