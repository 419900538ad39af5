"""What the text of `--zoo` means."""

import logging
from pathlib import Path

import pytest

from itm.core.errors import ParamsError
from itm.core.sections import ZooParams
from itm.zoo.choice import ZooChoice, parse_zoo
from itm.zoo.packaged import zoo_path
from itm.zoo.resolve import resolve


def test_name_of_the_package_is_a_zoo_file() -> None:
    assert parse_zoo("tiny") == ZooChoice(Path("tiny"))
    models, failures = resolve(ZooParams(file=Path("tiny")))
    assert len(models) == 18
    assert not failures


def test_name_of_the_package_wins_over_a_file_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny").write_text("models: []")
    with caplog.at_level(logging.INFO):
        assert zoo_path(Path("tiny")).name == "zoo.yaml"
    assert "tiny is the zoo of the package; the file of this name is read if its absolute path is given" in caplog.text
    assert parse_zoo("./tiny").file == tmp_path / "tiny"


@pytest.mark.parametrize("text", ["mine.yaml", "lists/mine.yml", "./mine", "../mine", "/somewhere/mine", "zoo2.json"])
def test_path_is_a_zoo_file_even_if_it_is_missing(text: str) -> None:
    assert parse_zoo(text).file == Path(text)


def test_existing_file_is_a_zoo_file_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models_2").touch()
    assert parse_zoo("models_2") == ZooChoice(Path("models_2"))


def test_folder_is_no_zoo_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("resnet50").mkdir()
    Path("resnet18,resnet34").touch()
    assert parse_zoo("resnet50") == ZooChoice(models=("resnet50",))
    assert parse_zoo("resnet18,resnet34") == ZooChoice(models=("resnet18", "resnet34"))


def test_list_of_names_can_be_longer_than_a_path() -> None:
    names = [f"resnet{number}" for number in range(1000)]
    assert parse_zoo(", ".join(names)) == ZooChoice(models=tuple(names))
    assert parse_zoo("vit_small" * 1000).models == ("vit_small" * 1000,)


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("timm:resnet*", ("timm:resnet*",)),
        ("resnet18", ("resnet18",)),
        ("resnet18.a1_in1k, vit_small*@mean ,", ("resnet18.a1_in1k", "vit_small*@mean")),
        ("hf-hub:someone/model", ("hf-hub:someone/model",)),
        ("*", ("*",)),
    ],
)
def test_other_texts_name_models(text: str, models: tuple[str, ...]) -> None:
    assert parse_zoo(text) == ZooChoice(None, models)


@pytest.mark.parametrize("text", ["tinny", "", " , "])
def test_word_that_names_nothing_is_refused_with_the_zoos_of_the_package(text: str) -> None:
    with pytest.raises(ParamsError, match=r"there is no zoo or zoo file .*The zoos of the package are tiny"):
        parse_zoo(text)


def test_near_word_is_suggested() -> None:
    with pytest.raises(ParamsError, match="did you mean 'tiny'"):
        parse_zoo("tinny")


def test_source_of_timm_skips_the_zoo_file(tmp_path: Path) -> None:
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text("models: [{name: test_resnet.mine, architecture: test_resnet, pretrained: true}]")
    models, _ = resolve(ZooParams(file=zoo, models=("timm:test_resnet*",)))
    assert [model.name for model in models] == ["test_resnet.r160_in1k"]
