"""Images with masks: which layouts are read, what is rejected with which reason, and what the data hash covers."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from itm.core.sections import DataParams
from itm.core.types import DataRef
from itm.data.index import describe_changes, read_index, read_usable
from itm.data.ingest import ingest
from itm.kinds.mask_target import MaskTarget
from itm.store.layout import Store
from tests.data.pairs import save_image, save_mask, save_pairs

Take = Callable[..., DataRef]


@pytest.fixture
def take(store: Store) -> Take:
    def run(source: str, **params: object) -> DataRef:
        return ingest(source, DataParams(**params), store)

    return run


def reasons(data: DataRef) -> dict[str, str]:
    rejected = read_index(data).filter(status="rejected")
    return {Path(path).stem: reason for path, reason in rejected.select("path", "reason").iter_rows()}


def test_a_folder_of_images_and_masks_is_segmentation(tmp_path: Path, take: Take) -> None:
    save_pairs(tmp_path / "street")
    data = take(f"folder:{tmp_path / 'street'}")
    assert data.target.kind == "segmentation"
    assert (data.images, data.target.names, data.rejected) == (6, ("0", "1", "2"), {})
    table = read_usable(data)
    assert set(table["split"]) == {"train", "val", "test"}
    assert [Path(mask).stem for mask in table["mask"]] == [Path(path).stem for path in table["path"]]
    assert MaskTarget.read(table["target"][1]).classes == ((0, "0", 32), (1, "1", 32), (2, "2", 32))


def test_a_palette_is_read_by_its_numbers_and_not_by_its_colours(tmp_path: Path, take: Take) -> None:
    save_pairs(tmp_path)
    before = take(f"one=folder:{tmp_path}")
    for number in range(6):
        save_mask(tmp_path / "masks" / f"{number}.png", [0, 1, 2] if number % 2 else [0, 0, 2], mode="P")
    after = take(f"two=folder:{tmp_path}")
    assert [MaskTarget.read(text).classes for text in read_usable(after)["target"]] == [
        MaskTarget.read(text).classes for text in read_usable(before)["target"]
    ]


def test_splits_are_folders_around_or_inside_images_and_masks(tmp_path: Path, take: Take) -> None:
    for start, split in ((0, "train"), (10, "val"), (20, "test")):
        save_pairs(tmp_path / "around" / split, start=start)
        save_pairs(tmp_path / "inside", images=f"images/{split}", masks=f"masks/{split}", start=start)
        save_pairs(tmp_path / "segnet", images=split, masks=f"{split}annot", start=start)
    for name in ("around", "inside", "segnet"):
        table = read_usable(take(f"folder:{tmp_path / name}"))
        assert dict(table["split"].value_counts().iter_rows()) == {"train": 6, "val": 6, "test": 6}


def test_classes_are_named_by_an_option_or_a_file_and_void_is_ignored(tmp_path: Path, take: Take) -> None:
    save_pairs(tmp_path)
    assert take(f"a=folder:{tmp_path}?classes=sky,road,car").target.names == ("sky", "road", "car")
    assert take(f"b=folder:{tmp_path}?ignore=0").target.names == ("1", "2")
    (tmp_path / "classes.txt").write_text("void\nroad\ncar\n")
    data = take(f"c=folder:{tmp_path}")
    assert data.target.names == ("road", "car")
    assert MaskTarget.read(read_usable(data)["target"][0]).classes == ((2, "car", 32),)
    assert take(f"d=folder:{tmp_path}?classes=sky;road;car&ignore=1").target.names == ("sky", "car")


def test_the_classes_of_camvid_are_known(tmp_path: Path, take: Take) -> None:
    save_pairs(tmp_path / "camvid", count=5)
    save_image(tmp_path / "camvid" / "images" / "void.png", 9)
    save_mask(tmp_path / "camvid" / "masks" / "void.png", [11, 5])
    data = take(f"folder:{tmp_path / 'camvid'}")
    assert data.target.names == ("sky", "building", "pole", "tree")


@pytest.mark.parametrize(("ending", "values"), [("labelTrainIds", (0, 10, 255)), ("labelIds", (7, 23, 4))])
def test_cityscapes_is_read_by_train_ids_and_else_by_label_ids(
    tmp_path: Path, take: Take, ending: str, values: tuple[int, ...]
) -> None:
    for number in range(6):
        split = ("train", "train", "train", "val", "val", "test")[number]
        stem = f"bonn_{number:06d}_000019"
        save_image(tmp_path / "leftImg8bit" / split / "bonn" / f"{stem}_leftImg8bit.png", number)
        for name in {"labelIds", ending}:
            save_mask(tmp_path / "gtFine" / split / "bonn" / f"{stem}_gtFine_{name}.png", list(values))
        save_mask(tmp_path / "gtFine" / split / "bonn" / f"{stem}_gtFine_instanceIds.png", [1, 2, 3])
        save_mask(tmp_path / "gtFine" / split / "bonn" / f"{stem}_gtFine_color.png", [1, 2, 3], mode="RGB")
    data = take(f"folder:{tmp_path}")
    assert (data.images, data.target.names) == (6, ("road", "sky"))
    assert sum(MaskTarget.read(read_usable(data)["target"][0]).classes[0][2:]) == 32


def test_an_index_has_the_path_of_the_mask(tmp_path: Path, take: Take) -> None:
    save_pairs(tmp_path)
    rows = [f"images/{number}.png,masks/{number}.png,{number // 2}" for number in range(6)]
    (tmp_path / "index.csv").write_text("\n".join(["path,mask,group", *rows, "images/0.png,,0"]) + "\n")
    data = take(f"csv:{tmp_path / 'index.csv'}?task=segmentation&classes=sky,road,car")
    assert (data.images, data.groups, data.target.names) == (6, 3, ("sky", "road", "car"))
    assert data.rejected == {"no mask": 1}


def test_each_wrong_mask_rejects_its_image_with_the_reason(tmp_path: Path, take: Take) -> None:
    save_pairs(tmp_path)
    for number, name in enumerate(("size", "value", "void", "colours", "damaged", "empty", "none"), start=10):
        save_image(tmp_path / "images" / f"{name}.png", number)
    masks = tmp_path / "masks"
    Image.new("L", (3, 3), 1).save(masks / "size.png")
    save_mask(masks / "value.png", [0, 7])
    save_mask(masks / "void.png", [255])
    save_mask(masks / "colours.png", [0, 1], mode="RGB")
    (masks / "damaged.png").write_bytes((masks / "0.png").read_bytes()[:40])
    (masks / "empty.png").write_bytes(b"")
    data = take(f"folder:{tmp_path}?classes=sky,road,car")
    assert data.rejected == {"no mask": 1, "only void": 1, "unknown class": 1, "unreadable mask": 3, "wrong mask size": 1}
    found = reasons(data)
    assert found["size"] == "its mask has 3 x 3 pixels, and the image 12 x 8; make them equal"
    assert found["value"] == "its mask has 7, and only 0, 1 and 2 are classes; correct it, or write ?ignore=7"
    assert found["void"] == "all pixels of its mask are ignored; remove the image"
    assert "has colours (RGB); save the number of the class of each pixel" in found["colours"]
    assert "truncated or damaged" in found["damaged"]
    assert "0 bytes" in found["empty"]
    assert found["none"].startswith("there is no mask none.png in ")


def test_masks_count_in_the_data_hash_and_paths_do_not(tmp_path: Path, take: Take) -> None:
    save_pairs(tmp_path / "a")
    first = take(f"one=folder:{tmp_path / 'a'}")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert take(f"two=folder:{tmp_path / 'b'}").hash == first.hash
    assert take(f"three=folder:{tmp_path / 'b'}?ignore=2").hash != first.hash
    assert take(f"four=folder:{tmp_path / 'b'}?patches=9").hash != first.hash
    save_mask(tmp_path / "b" / "masks" / "0.png", [0, 2, 2])
    assert take(f"two=folder:{tmp_path / 'b'}").hash != first.hash


def test_a_changed_mask_is_noticed_by_its_file(tmp_path: Path, take: Take, store: Store) -> None:
    save_pairs(tmp_path)
    source = f"street=folder:{tmp_path}"
    take(source)
    assert describe_changes(source, False, store) == ""
    (tmp_path / "masks" / "0.png").unlink()
    assert "1 file gone" in describe_changes(source, False, store)


def test_the_same_image_with_two_masks_is_a_conflict(tmp_path: Path, take: Take) -> None:
    save_pairs(tmp_path)
    shutil.copy(tmp_path / "images" / "0.png", tmp_path / "images" / "again.png")
    save_mask(tmp_path / "masks" / "again.png", [2, 1])
    assert reasons(take(f"folder:{tmp_path}")) == dict.fromkeys(("0", "again"), "same bytes have different masks")


def test_a_number_of_images_is_sampled(tmp_path: Path, take: Take) -> None:
    save_pairs(tmp_path, count=20)
    assert take(f"folder:{tmp_path}", max_images=8).images == 8


def test_figures_are_drawn_with_masks(take: Take) -> None:
    data = take("synthetic:shapes-mask?images=20")
    assert data.target.names == ("ground", "bar", "circle", "cross", "star", "triangle")
    classes = [MaskTarget.read(text).classes for text in read_usable(data)["target"]]
    assert all(3 <= len(one) <= 5 for one in classes)


def test_the_index_of_other_kinds_has_no_masks(tmp_path: Path, take: Take) -> None:
    for name in ("cat", "dog"):
        for number in range(3):
            save_image(tmp_path / name / f"{number}.png", number + 10 * (name == "dog"))
    assert "mask" not in pl.read_parquet_schema(take(f"folder:{tmp_path}").index)
