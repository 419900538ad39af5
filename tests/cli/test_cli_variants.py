"""Variants on the command line: ranked, fine-tuned and shown as candidates."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MODEL = "test_vit.drawn_long"
SOURCE = "synthetic:shapes?images=60"


@pytest.fixture
def here(project: Callable[..., Path], zoo_file: Path) -> Path:
    return project(data={"sets": [SOURCE]}, zoo={"file": str(zoo_file), "models": [MODEL]})


def test_variants_are_ranked_beside_their_model(call, here: Path) -> None:
    printed = call("rank", "--variants", "mean,token", "--variants", "block2@token+mean").stdout
    names = [MODEL, f"{MODEL}@mean", f"{MODEL}@block2@token+mean"]
    lines = [line.split() for line in printed.splitlines()]
    assert sorted(line[1] for line in lines if line[-1:] == ["ranked"]) == sorted(names)
    (page,) = (here / "kept").rglob("index.html")
    text = page.read_text().replace("<wbr>", "")
    assert all(name in text for name in names)


def test_a_first_model_that_is_a_variant_comes_with_its_code(call, here: Path) -> None:
    printed = call("rank", "--model", f"{MODEL}@block2").stdout
    assert f"How to build {MODEL}@block2:" in printed
    assert "model.prune_intermediate_layers([1], prune_head=False)" in printed
    (page,) = (here / "kept").rglob("index.html")
    assert "prune_intermediate_layers" in page.read_text()


def test_a_variant_can_be_fine_tuned(call, here: Path) -> None:
    del here
    assert f"{MODEL}@mean" in call("finetune", "--model", f"{MODEL}@mean", "--seeds", "1", "--steps", "2").stdout


@pytest.mark.usefixtures("here")
def test_a_misspelled_variant_is_one_error(call) -> None:
    message = call("rank", "--variants", "maen", status=2).stderr
    assert "--variants" in message
    assert "did you mean 'mean'?" in message
