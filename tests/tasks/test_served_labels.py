"""The labels of a registered model are the lines of labels.txt, whatever other characters they have."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*Any type hint")]  # of MLflow, for its own types

LABELS = ["a form\x0cfeed", "next\x85line", "line\u2028separator", "plain"]
CODE = "def load():\n    return None, None\n\n\ndef predict(*_):\n    return [[0.1, 0.2, 0.3, 0.4]]\n"


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_label_can_have_other_separators_of_lines(tmp_path: Path, end: str) -> None:
    from tasks.track.served_model import ExportedModel

    (tmp_path / "load.py").write_text(CODE)
    (tmp_path / "config.json").write_text(json.dumps({"itm": {"outputs": "logits"}}))
    (tmp_path / "labels.txt").write_text("\n".join(LABELS) + end, encoding="utf-8")
    model, context = ExportedModel(), SimpleNamespace(artifacts={"model": str(tmp_path), "predict": str(tmp_path / "load.py")})
    model.load_context(cast(Any, context))
    assert list(model.predict(cast(Any, context), cast(Any, None)).columns) == LABELS
