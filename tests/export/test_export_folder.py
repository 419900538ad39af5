"""The exported folder: what is in it, what it loads to, and when it is refused."""

import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from itm.core.errors import ModelError, ParamsError
from itm.export.folder import export
from itm.export.predict import open_picture
from itm.finetuning.weights import read_facts
from tests.export.conftest import BLOCK, RESNET, TOKENS, Ranked

pytestmark = pytest.mark.slow

WITHOUT_ITM = """
import runpy, sys
sys.modules["itm"] = None
import torch
if torch.version.cuda is None:
    library = torch.library.Library("torchvision", "DEF")
    for schema in {schemas!r}:
        try:
            library.define(schema)
        except RuntimeError:
            pass
sys.argv = ["load.py", {image!r}]
runpy.run_path({script!r}, run_name="__main__")
"""


def loaded(folder: Path) -> tuple[Any, Any]:
    model, transform = runpy.run_path(str(folder / "load.py"))["load"]()
    return model, transform


def outputs(folder: Path, paths: list[str]) -> torch.Tensor:
    model, transform = loaded(folder)
    with torch.inference_mode():
        found: torch.Tensor = model(torch.stack([transform(Image.open(path).convert("RGB")) for path in paths]))
    return found


def test_the_embeddings_are_those_that_were_ranked(ranked: Ranked, tmp_path: Path) -> None:
    export(ranked.choice(BLOCK), tmp_path / "out")
    images, known = ranked.images().head(20), ranked.embeddings(BLOCK)
    expected = torch.tensor([known[id_] for id_ in images["id"] if id_ in known])
    paths = [path for id_, path in images.select("id", "path").iter_rows() if id_ in known]
    torch.testing.assert_close(outputs(tmp_path / "out", paths), expected, rtol=1e-5, atol=1e-5)
    assert len(expected) > 5


@pytest.mark.parametrize("model", [RESNET, TOKENS])
def test_the_class_probabilities_are_those_of_the_best_run(ranked: Ranked, model: str, tmp_path: Path) -> None:
    export(ranked.choice(model), tmp_path / "out")
    best = max(ranked.runs[model], key=lambda run: (run.val_accuracy, -run.val_loss))
    images = ranked.images("test")
    logits = outputs(tmp_path / "out", images["path"].to_list())
    labels = (tmp_path / "out" / "labels.txt").read_text().split()
    targets = torch.tensor([labels.index(target) for target in images["target"]])
    assert (logits.argmax(1) == targets).float().mean().item() == pytest.approx(best.test_accuracy)
    assert torch.nn.functional.cross_entropy(logits.double(), targets).item() == pytest.approx(best.test_loss, abs=1e-5)


def test_timm_itself_loads_a_classifier_from_the_folder(ranked: Ranked, tmp_path: Path) -> None:
    from itm.zoo.timm_gate import timm

    export(ranked.choice(RESNET), tmp_path / "out")
    model = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    assert model.pretrained_cfg["label_names"] == [str(number) for number in range(10)]
    paths = ranked.images("test")["path"].to_list()[:3]
    own, transform = loaded(tmp_path / "out")
    images = torch.stack([transform(Image.open(path).convert("RGB")) for path in paths])
    with torch.inference_mode():
        assert torch.equal(model(images), own(images))


def test_load_py_prints_probabilities_where_itm_is_not_installed(ranked: Ranked, tmp_path: Path) -> None:
    from itm.core.torchvision_gate import SCHEMAS

    export(ranked.choice(TOKENS), tmp_path / "out")
    image = ranked.images("test")["path"][0]
    code = WITHOUT_ITM.format(schemas=SCHEMAS, image=image, script=str(tmp_path / "out" / "load.py"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    path, _, shares = done.stdout.strip().partition(" ")
    assert path == image
    assert sum(json.loads(shares.replace("'", '"')).values()) == pytest.approx(1, abs=1e-3)


def test_load_py_reads_images_as_itm_does(ranked: Ranked, tmp_path: Path) -> None:
    export(ranked.choice(RESNET), tmp_path / "out")
    read = runpy.run_path(str(tmp_path / "out" / "load.py"))["read"]
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    assert np.array_equal(read(tmp_path / "clear.png"), open_picture(str(tmp_path / "clear.png")))
    Image.fromarray(pixels[..., :3]).save(tmp_path / "plain.png")
    assert np.array_equal(read(tmp_path / "plain.png"), pixels[..., :3])
    Image.fromarray(pixels[..., 0].astype(np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(SystemExit, match=r"deep.png: has the mode I;16"):
        read(tmp_path / "deep.png")


def test_only_plain_files_are_written_and_no_pickle(ranked: Ranked, tmp_path: Path) -> None:
    export(ranked.choice(TOKENS), tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"README.md", "config.json", "head.safetensors", "labels.txt", "load.py", "model.safetensors"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_card_says_what_the_model_is(ranked: Ranked, tmp_path: Path) -> None:
    choice = ranked.choice(RESNET)
    export(choice, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    facts = read_facts(choice.weights)
    assert facts is not None
    for words in (choice.data.hash, f"{100 * facts.test_accuracy:.1f} [", "licence of the pre-trained weights | unknown"):
        assert words in card
    assert "license" not in json.loads((tmp_path / "out" / "config.json").read_text())["pretrained_cfg"]


def test_an_earlier_export_is_replaced_and_other_files_are_not(ranked: Ranked, tmp_path: Path) -> None:
    export(ranked.choice(BLOCK), tmp_path / "out")
    export(ranked.choice(RESNET), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["itm"]["model"] == RESNET
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ParamsError, match=r"mine: has notes.txt, which would be lost"):
        export(ranked.choice(RESNET), tmp_path / "mine")
    with pytest.raises(ParamsError, match="is a file"):
        export(ranked.choice(RESNET), tmp_path / "mine" / "notes.txt")
    (tmp_path / "out" / "Dockerfile").write_text("FROM mine")
    with pytest.raises(ParamsError, match=r"out: has Dockerfile, which would be lost"):
        export(ranked.choice(RESNET), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out"]


def test_a_model_of_own_code_is_refused_and_nothing_is_written(ranked: Ranked, tmp_path: Path) -> None:
    choice = ranked.choice(RESNET)
    own = replace(choice, model=replace(choice.model, architecture=None, factory="models.py:build"))
    with pytest.raises(ModelError, match=r"is built by your own code \(models.py:build\)"):
        export(own, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_grey_images_load_as_grey(ranked: Ranked, grey_rectangles: Any, tmp_path: Path) -> None:
    choice = replace(ranked.choice(BLOCK), model=grey_rectangles)
    export(choice, tmp_path / "out")
    _, transform = loaded(tmp_path / "out")
    assert transform(Image.fromarray(np.zeros((60, 40, 3), np.uint8))).shape == (1, 48, 32)
