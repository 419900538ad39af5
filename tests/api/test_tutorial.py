"""The tutorial runs as it stands in the documentation, and is committed without results."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial.ipynb"


def test_no_results_are_committed():
    """They would have paths and times of one machine, and would not follow the code."""
    cells = json.loads(TUTORIAL.read_text(encoding="utf-8"))["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.servers
def test_every_cell_runs_and_shows_what_its_text_says(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(TUTORIAL, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    errors = [output.text for output in outputs if output.get("name") == "stderr"]
    assert [text for text in errors if "IProgress not found" not in text] == []  # tqdm's advice to install ipywidgets
    shown = [output for output in outputs if output.get("name") != "stderr"]
    table, answer, *pictures = (_of(output) for output in shown[:4])
    assert "mini_vit_tiny_patch16_224.mae" in table["text/html"]
    assert answer["text"].startswith("For digits, fine-tune mini_")
    assert all("image/png" in picture for picture in pictures)
    assert "pixels" in _of(shown[5])["text/html"]
    assert "head" in _of(shown[6])["text/plain"]
    assert _of(shown[7])["text"].startswith("mini_")


def _of(output: Any) -> dict[str, str]:
    return dict(output.get("data", output))
