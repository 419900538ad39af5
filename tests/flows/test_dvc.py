"""`dvc repro` and the flow run by hand lead to the same rooms."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow

MODELS = ["test_resnet.drawn_long", "test_resnet.drawn_short", "test_efficientnet.textures"]


class Project:
    """A copy of the tracked pipeline with small data sets, under its own git and DVC."""

    def __init__(self, root: Path, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment | {"DVC_NO_ANALYTICS": "1"}
        for name in ("flows", "itm", "tasks", "data/desk", "data/zoo"):
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"):
            shutil.copy(root / name, folder / name)
        self.run("git", "init", "--quiet")
        self.run("dvc", "init", "--quiet")

    def run(self, *command: str) -> str:
        """Run a command in the project and return all it said."""
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def set_models(self, *models: str) -> None:
        """Name the models in params.yaml."""
        params = yaml.safe_load((self.folder / "params.yaml").read_text())
        params["data"]["sets"] = ["made:shapes?images=60", "made:textures?images=60"]
        params["zoo"]["models"] = list(models)
        params["score"]["names"] = ["itm", "knn"]
        params["evaluate"]["draws"] = 100
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params))

    def ranked(self) -> list[set[str]]:
        """Return the models in the ranking of each data set."""
        ranking: dict[str, Any] = json.loads((self.folder / "data/scores/ranking.json").read_text())
        return [{row["model"] for row in data["rows"]} for data in ranking["data_sets"]]


def test_models_come_and_go_with_params_and_both_doors_agree(root: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """A model taken out is gone, one put in is the only one extracted, and status is clean after either door."""
    project = Project(root, tmp_path / "project", environment)
    project.set_models(*MODELS[:2])
    assert "extracted 4 pairs (0 cached)" in project.run("dvc", "repro")
    assert project.ranked() == [set(MODELS[:2])] * 2

    by_hand = project.run("itm", "rank")
    assert "extracted 0 pairs (4 cached), computed 0 scores (8 cached)" in by_hand
    assert "up to date" in project.run("dvc", "status")

    project.set_models(MODELS[0], MODELS[2])
    assert "extracted 2 pairs (2 cached)" in project.run("dvc", "repro")
    assert project.ranked() == [{MODELS[0], MODELS[2]}] * 2
    assert "up to date" in project.run("dvc", "status")
