"""Importing timm patches torchvision only if necessary. Each test runs in its own process."""

import subprocess
import sys
from pathlib import Path

import pytest

DECLARE = """
import torch
library = torch.library.Library("torchvision", "DEF")
for schema in (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
):
    library.define(schema)
"""
LOADS_ALONE = """
import torch
try:
    import torchvision
    alone = True
except RuntimeError as error:
    assert "operator torchvision::nms does not exist" in str(error), error
    alone = False
"""
IMPORT = "import itm.zoo.timm_gate; import itm.core.torchvision_gate as gate"
USE = """
from PIL import Image
import itm.zoo.timm_gate as gate
transform = gate.timm.data.create_transform(input_size=(3, 32, 32), is_training=False)
assert transform(Image.new("RGB", (40, 50))).shape == (3, 32, 32)
training = gate.timm.data.create_transform(input_size=(3, 32, 32), is_training=True, auto_augment="rand-m9-mstd0.5")
assert training(Image.new("RGB", (40, 50))).shape == (3, 32, 32)
from torchvision.transforms import v2
assert v2.Resize((8, 8))(Image.new("RGB", (40, 50))).size == (8, 8)
import torchvision
assert gate.import_torchvision() is torchvision
"""


def run(*code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", "\n".join(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def missing() -> bool:
    """Return whether the installed torchvision lacks its operators."""
    return run(LOADS_ALONE, "print(alone)") == "False"


def test_transforms_work_after_import() -> None:
    assert run(USE, "print('used')") == "used"


def test_working_torchvision_is_not_patched(missing: bool) -> None:
    run(DECLARE if missing else "", IMPORT, "assert gate._libraries == []")


def test_missing_operators_are_defined_once(missing: bool) -> None:
    count = f"assert len(gate._libraries) == {int(missing)}"
    run(IMPORT, count, "gate.import_torchvision()", count)


def test_other_import_errors_are_raised(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
folder = Path({str(tmp_path)!r}) / "torchvision"
folder.mkdir()
(folder / "__init__.py").write_text("raise RuntimeError('broken in another way')")
sys.path.insert(0, {str(tmp_path)!r})
try:
    import itm.zoo.timm_gate
except RuntimeError as error:
    print(error)
"""
    assert run(code) == "broken in another way"
