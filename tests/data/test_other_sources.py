"""A folder that another source reads is not read as class folders: the message names the source."""

import pytest

from itm.core.errors import DataError


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("000.tar", "or write wds:{folder} if its tar files are shards of WebDataset"),
        ("data-00000-of-00001.arrow", "or write hf:{folder} if the package datasets has written it"),
        ("samples.json", "or write fiftyone:{folder} if FiftyOne has exported it"),
        ("all.csv", "or write csv:{folder}/all.csv if that is an index of the images"),
    ],
)
def test_a_folder_of_another_source_is_told(name, words, tmp_path, take):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / name).write_text("text")
    with pytest.raises(DataError, match=words.format(folder=folder)):
        take(folder)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["train/0.tar", "test/0.tar"], "its folders hold 0.tar and no images; write wds:{folder}"),
        (["data/train-0.parquet", "README.md"], "its folders hold train-0.parquet and no images; write hf:{folder}"),
        (["train/data-0.arrow", "dataset_dict.json"], "its folders hold data-0.arrow and no images; write hf:{folder}"),
        (["data/1.jpg", "labels.json"], "has labels.json and the folder data; write fiftyone:{folder}"),
    ],
)
def test_folders_of_another_source_are_told(names, words, tmp_path, take):
    folder = tmp_path / "files"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text")
    with pytest.raises(DataError, match=words.format(folder=folder)):
        take(folder)
