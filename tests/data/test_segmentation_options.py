"""Wrong options of masks are told, each in one message."""

from collections.abc import Callable
from pathlib import Path

import pytest

from itm.core.errors import DataError
from itm.core.sections import DataParams
from itm.core.types import DataRef
from itm.data.ingest import ingest
from itm.store.layout import Store
from tests.data.pairs import save_image, save_mask, save_pairs

Take = Callable[..., DataRef]


@pytest.fixture
def take(store: Store) -> Take:
    def run(source: str, **params: object) -> DataRef:
        return ingest(source, DataParams(**params), store)

    return run


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("ignore=sky", "ignore is 'sky'; write values of masks with commas between them"),
        ("classes=sky,,car", "classes is 'sky,,car'; write the names of the values 0, 1, 2 and so on, each once"),
        ("classes=sky,sky", "each once"),
        ("classes=sky,road,car&ignore=0,1,2", "ignore=0,1,2 leaves no class"),
        ("patches=0", "patches is 0; write how many patches of an image are used at most, such as 64"),
        ("patches=many", "patches is 'many'; it must be a whole number"),
        ("classes=sky", "none of the images can be used"),
        ("ignore=1,2", "all masks have only one class, '0'"),
        ("task=regression", "folders give no targets for regression"),
        ("task=segmentaton", "there is no task 'segmentaton'; did you mean 'segmentation'"),
    ],
)
def test_wrong_options_are_told(tmp_path: Path, take: Take, options: str, words: str) -> None:
    save_pairs(tmp_path)
    with pytest.raises(DataError) as caught:
        take(f"folder:{tmp_path}?{options}")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("?task=segmentation", "there are no folders images and masks"),
        ("?ignore=0", "there are no folders images and masks"),
    ],
)
def test_class_folders_have_no_masks(tmp_path: Path, take: Take, options: str, words: str) -> None:
    for name in ("cat", "dog"):
        for number in range(3):
            save_image(tmp_path / name / f"{number}.png", number + 10 * (name == "dog"))
    with pytest.raises(DataError, match=words):
        take(f"folder:{tmp_path}{options}")


def test_folders_named_images_and_masks_can_be_classes(tmp_path: Path, take: Take) -> None:
    save_pairs(tmp_path)
    data = take(f"folder:{tmp_path}?task=classification")
    assert (data.target.kind, data.target.names) == ("classification", ("images", "masks"))


def test_two_masks_of_one_image_are_refused(tmp_path: Path, take: Take) -> None:
    save_pairs(tmp_path)
    save_mask(tmp_path / "masks" / "0_mask.png", [0, 1])
    with pytest.raises(DataError, match=r"0\.png and 0_mask\.png are both masks of 0; remove one of them"):
        take(f"folder:{tmp_path}")


def test_too_few_images_are_refused(tmp_path: Path, take: Take) -> None:
    save_pairs(tmp_path, count=4)
    with pytest.raises(DataError, match="there are 4 usable images; segmentation needs 5 or more"):
        take(f"folder:{tmp_path}")


def test_ignore_and_classes_need_masks(tmp_path: Path, take: Take) -> None:
    (tmp_path / "a.csv").write_text("path,label\nx.png,cat\n")
    with pytest.raises(DataError, match="ignore is an option of masks; write task=segmentation, or leave it out"):
        take(f"csv:{tmp_path / 'a.csv'}?ignore=1")
