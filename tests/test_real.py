"""Real images and real checkpoints: the ranking says what anyone who knows them expects."""

import subprocess
import sys
from pathlib import Path

import pytest

from itm.params import Params
from itm.ranking_file import read_ranking
from itm.store import Store

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "real"

pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_imagenet_models_come_before_faces_poses_and_wake_words(tmp_path: Path) -> None:
    """On photographs of flowers, every checkpoint trained on ImageNet ranks above those for faces, poses and wake words."""
    if not REAL.exists():
        pytest.skip(
            "../shared/real is not here: it holds third-party images and checkpoints that are not part of this repository"
        )
    zoo, params = tmp_path / "zoo.yaml", tmp_path / "params.yaml"
    subprocess.run([sys.executable, ROOT / "benchmarks" / "real_zoo.py", REAL, zoo], check=True, capture_output=True)
    params.write_text(f"store: {tmp_path / 'store'}\n")
    flowers = f"folder:{REAL / 'sets' / 'flowers5'}"
    command = ["itm", "rank", flowers, "--zoo", zoo, "--params", params, "--runner", "inline", "--max-images", "250"]
    subprocess.run([*command, "--score", "itm", "--score", "logme"], check=True, capture_output=True)
    (data,) = read_ranking(Store(tmp_path / "store", "flowers5")).data_sets
    assert Params().score.rank_by == "itm"
    assert [row.status for row in data.rows] == ["ranked"] * 13
    places = {row.model: row.rank or 0 for row in data.rows}
    imagenet = [places[model] for model in places if model.endswith("in1k")]
    others = [places[model] for model in places if model.endswith((".widerface", ".movenet", ".vww"))]
    assert (len(imagenet), len(others)) == (6, 3)
    assert max(imagenet) < min(others)
