"""Real images and real checkpoints: the ranking says what anyone who knows them expects, in every place where it is told."""

import subprocess
import sys
from pathlib import Path

import pytest

from itm.ranking_file import read_ranking
from itm.store import Store

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.xdist_group("prefect")]


def test_imagenet_models_come_before_faces_poses_and_wake_words(
    root: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """On photographs of flowers, every checkpoint trained on ImageNet ranks above those for faces, poses and wake words.

    The page and MLflow's alias name the same first model.
    """
    real = root.parent / "shared" / "real"
    if not real.exists():
        pytest.skip(
            "../shared/real is not here: it holds third-party images and checkpoints that are not part of this repository"
        )
    zoo, params = tmp_path / "zoo.yaml", tmp_path / "params.yaml"
    subprocess.run([sys.executable, root / "benchmarks" / "real_zoo.py", real, zoo], check=True, capture_output=True)
    params.write_text(f"store: {tmp_path / 'store'}\nscore: {{names: [itm]}}\n")
    flowers = f"folder:{real / 'sets' / 'flowers5'}"
    command = ["itm", "rank", flowers, "--zoo", zoo, "--params", params, "--max-images", "150"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    (results,) = (tmp_path / "store" / "rankings").iterdir()
    (data,) = read_ranking(Store(tmp_path / "store", results.name)).data_sets
    assert [row.status for row in data.rows] == ["ranked"] * 13
    places = {row.model: row.rank or 0 for row in data.rows}
    imagenet = [places[model] for model in places if model.endswith("in1k")]
    others = [places[model] for model in places if model.endswith((".widerface", ".movenet", ".vww"))]
    assert (len(imagenet), len(others)) == (6, 3)
    assert max(imagenet) < min(others)

    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}"
    alias = MlflowClient(uri, registry_uri=uri).get_model_version_by_alias("itm-flowers5", "recommended")
    assert alias.tags["model"] == data.rows[0].model
    page = (results / "reports" / "index.html").read_text().replace("<wbr>", "")
    assert f"<strong>{data.rows[0].model}</strong>" in page
