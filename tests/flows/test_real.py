"""Real images and real checkpoints: the ranking says what anyone who knows them expects, in every place where it is told."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from itm.cli.commands import app
from itm.store.files import read_json
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking

pytestmark = [pytest.mark.real, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "real"
PARAMS = """
store: {store}
score: {{names: [itm]}}
extract: {{device: cpu}}
finetune: {{steps: 40, search_steps: 6, seeds: 1, learning_rates: [1.0e-4, 1.0e-3, 1.0e-2]}}
"""


def arguments(folder: Path, zoo: Path) -> list[str]:
    """Write parameters below `folder` and return the arguments of a ranking on photographs of flowers."""
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(PARAMS.format(store=folder / "store"))
    flowers = f"folder:{REAL / 'sets' / 'flowers5'}"
    return [
        "rank",
        flowers,
        "--zoo",
        str(zoo),
        "--code",
        str(REAL),
        "--params",
        str(folder / "params.yaml"),
        "--max-images",
        "150",
    ]


@pytest.fixture(scope="module")
def ranked(prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the zoo file of all real checkpoints, and the store in which the command ranked them."""
    if not REAL.exists():
        pytest.skip(
            "../shared/real is not here: it holds third-party images and checkpoints that are not part of this repository"
        )
    folder = tmp_path_factory.mktemp("real")
    zoo = folder / "zoo.yaml"
    subprocess.run([sys.executable, ROOT / "benchmarks" / "real_zoo.py", REAL, zoo], check=True, capture_output=True)
    command = ["itm", *arguments(folder, zoo)]
    subprocess.run(command, env=os.environ | prefect_server, check=True, capture_output=True)
    return folder


def test_imagenet_models_come_before_faces_poses_and_wake_words(ranked: Path) -> None:
    """On photographs of flowers, every checkpoint trained on ImageNet ranks above those for faces, poses and wake words.

    The page names the same first model. This trial does not move MLflow's alias.
    """
    (results,) = (ranked / "store" / "rankings").iterdir()
    (data,) = read_ranking(Store(ranked / "store", results.name)).data_sets
    assert [row.status for row in data.rows] == ["ranked"] * 13
    places = {row.model: row.rank or 0 for row in data.rows}
    imagenet = [places[model] for model in places if model.endswith("in1k")]
    others = [places[model] for model in places if model.endswith((".widerface", ".movenet", ".vww"))]
    assert (len(imagenet), len(others)) == (6, 3)
    assert max(imagenet) < min(others)

    from mlflow import MlflowClient

    uri = f"sqlite:///{ranked / 'store' / 'mlflow.db'}"
    assert MlflowClient(uri, registry_uri=uri).search_registered_models() == []
    page = (results / "reports" / "index.html").read_text().replace("<wbr>", "")
    assert f"<strong>{data.rows[0].model}</strong>" in page


@pytest.mark.usefixtures("own_logger")
def test_flowers_are_confirmed_by_real_checkpoints(ranked: Path, tmp_path: Path) -> None:
    shutil.copytree(ranked / "store" / "cache", tmp_path / "store" / "cache")
    names = ("mobilenetv1_025_128.in1k", "mcunet*", "mobilenetv1_025_96*")
    models = [word for name in names for word in ("-m", name)]
    words = [*arguments(tmp_path, ranked / "zoo.yaml"), "--confirm", "3", *models]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    (file,) = (tmp_path / "store" / "rankings").glob("*/finetuned/confirmed.json")
    (found,) = read_json(file)["data_sets"]
    accuracies = {row["model"]: row["test"]["value"] for row in found["candidates"]}
    assert len(accuracies) == 3
    assert accuracies[found["leader"]] > 0.6
    assert found["leader"].endswith("in1k")
