"""A recommended model in this process and on the command line, and as ONNX."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

from itm import export
from itm.core.errors import DataError
from itm.export.module import output_module
from itm.export.onnx_file import write_onnx
from tests.export.conftest import BLOCK, RESNET, TOKENS, Ranked

pytestmark = pytest.mark.slow


def test_a_fine_tuned_model_returns_probabilities_of_its_labels(ranked: Ranked) -> None:
    loaded = export.load_recommended("digits", ranked.store.root, model=TOKENS)
    images = ranked.images("test")
    found = loaded.predict(images["path"].to_list())
    best = max(ranked.runs[TOKENS], key=lambda run: (run.val_accuracy, -run.val_loss))
    targets = [loaded.labels.index(target) for target in images["target"]]
    assert (found.argmax(axis=1) == targets).mean() == pytest.approx(best.test_accuracy)
    assert -np.log(found[range(len(targets)), targets]).mean() == pytest.approx(best.test_loss, abs=1e-4)


def test_another_model_returns_the_embeddings_that_were_ranked(ranked: Ranked) -> None:
    loaded = export.load_recommended("digits", str(ranked.store.root), model=BLOCK)
    known = ranked.embeddings(BLOCK)
    id_, path = next(row for row in ranked.images().select("id", "path").iter_rows() if row[0] in known)
    assert loaded.labels == ()
    np.testing.assert_allclose(loaded.predict(path), [known[id_]], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loaded.predict(np.asarray(Image.open(path).convert("RGB"))), [known[id_]], rtol=1e-5, atol=1e-5)


def test_a_file_that_is_no_image_is_named(ranked: Ranked, tmp_path: Path) -> None:
    loaded = export.load_recommended("digits", ranked.store.root, model=BLOCK)
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a\.png: cannot be opened as an image"):
        loaded.predict(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"b\.png: cannot be read"):
        loaded.predict(tmp_path / "b.png")


def test_the_command_writes_onnx_that_computes_the_same(
    ranked: Ranked, project: Callable[..., Path], call: Callable[..., Result]
) -> None:
    import onnxruntime

    folder = project()
    (folder / "params.yaml").write_text(f"store: {ranked.store.root}\n")
    result = call("export", "digits", "--to", "out", "--model", RESNET, "--onnx")
    assert f"{RESNET} for digits, classifier of 10 classes: out" in result.output
    session = onnxruntime.InferenceSession(str(folder / "out" / "model.onnx"))
    images = torch.randn(5, 3, 48, 48)
    (found,) = session.run(["logits"], {"images": images.numpy()})
    with torch.inference_mode():
        expected = output_module(ranked.choice(RESNET))(images).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    refused = call("export", "digits", "--to", "params.yaml", status=2)
    assert refused.output == "error: --to params.yaml: is a file; name a folder that does not exist.\n"


class Undecided(torch.nn.Module):
    """A model whose operations depend on its values, which no graph can express."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) if images.sum().item() > 0 else images.flatten(1)[:, :1]


def test_a_model_that_onnx_cannot_express_is_said_in_one_line(tmp_path: Path) -> None:
    problem = write_onnx(Undecided(), {"input_size": [3, 8, 8]}, "embeddings", tmp_path / "model.onnx")
    assert problem.startswith("torch cannot convert it (")
    assert "\n" not in problem
    assert list(tmp_path.iterdir()) == []
