"""Annotations of detection are recognised, and refused with one sentence that says what can be done instead."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from itm.core.errors import DataError
from itm.core.sections import DataParams
from itm.data.ingest import ingest, ingest_all
from itm.store.layout import Store

INSTEAD = "are annotations of detection, whose models are not ranked; to rank models for these objects, crop the boxes into"
BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
COCO = {"images": [{"id": 1, "file_name": "0.png"}], "annotations": [BOX], "categories": [{"id": 1, "name": "cat"}]}
XML = "<annotation><object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object></annotation>"


def save_images(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in range(3):
        Image.fromarray(np.full((8, 8), 40 * number, np.uint8)).save(folder / f"{number}.png")


def coco(root: Path) -> Path:
    save_images(root / "train2017")
    save_images(root / "val2017")
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train2017.json").write_text(json.dumps(COCO | {"info": "x" * 200_000}))
    return root


def coco_beside_images(root: Path) -> Path:
    save_images(root / "train")
    (root / "train" / "_annotations.coco.json").write_text(json.dumps(COCO))
    return root


def coco_file(root: Path) -> Path:
    root.mkdir()
    (root / "boxes.json").write_text(json.dumps(COCO))
    return root / "boxes.json"


def yolo(root: Path) -> Path:
    save_images(root / "images" / "train")
    (root / "labels" / "train").mkdir(parents=True)
    (root / "labels" / "train" / "0.txt").write_text("0 0.5 0.5 0.25 0.125\n1 1 0 .5 1.0\n")
    (root / "labels" / "classes.txt").write_text("cat\ndog\n")
    return root


def yolo_in_splits(root: Path) -> Path:
    save_images(root / "train" / "images")
    (root / "train" / "labels").mkdir()
    (root / "train" / "labels" / "0.txt").write_text("0 0.5 0.5 0.25 0.125\n")
    return root


def voc(root: Path) -> Path:
    save_images(root / "JPEGImages")
    (root / "Annotations").mkdir()
    (root / "Annotations" / "0.xml").write_text(XML)
    return root


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (coco, "boxes of COCO"),
        (coco_beside_images, "boxes of COCO"),
        (yolo, "text files of YOLO"),
        (yolo_in_splits, "text files of YOLO"),
        (voc, "XML files of Pascal VOC"),
    ],
)
def test_detection_is_refused_with_what_can_be_done_instead(
    tmp_path: Path, store: Store, make: Callable[[Path], Path], what: str
) -> None:
    place = make(tmp_path / "set")
    with pytest.raises(DataError) as caught:
        ingest(f"folder:{place}", DataParams(), store)
    assert str(caught.value) == f"{place}: {what} {INSTEAD} one folder per class and write folder:PATH."


@pytest.mark.parametrize("source", ["{}", "csv:{}"])
def test_a_file_of_boxes_is_refused(tmp_path: Path, store: Store, source: str) -> None:
    with pytest.raises(DataError, match=INSTEAD):
        ingest(source.format(coco_file(tmp_path / "set")), DataParams(), store)


def test_other_data_sets_go_on(tmp_path: Path, store: Store) -> None:
    sources = (f"folder:{yolo(tmp_path / 'set')}", "synthetic:shapes?images=20")
    found, failures = ingest_all(DataParams(sets=sources), store)
    assert [data.name for data in found] == ["shapes-images20"]
    assert [INSTEAD in failure.reason for failure in failures] == [True]


def test_text_and_json_beside_classes_are_no_boxes(tmp_path: Path, store: Store) -> None:
    save_images(tmp_path / "train" / "cat")
    (tmp_path / "train" / "labels.txt").write_text("0\n1\n")
    (tmp_path / "notes.json").write_text(json.dumps({"images": 3, "bbox": None}))
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "train" / "cat" / "3.png")
    (tmp_path / "train" / "dog").mkdir()
    for number in range(2):
        Image.fromarray(np.full((8, 8), 7 + number, np.uint8)).save(tmp_path / "train" / "dog" / f"{number}.png")
    assert ingest(f"folder:{tmp_path}", DataParams(), store).target.names == ("cat", "dog")
