"""A copy of the tracked pipeline with small data sets, under its own git and DVC."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

SETS = ["synthetic:shapes?images=60", "synthetic:textures?images=60"]


class DvcProject:
    """The files of the project that DVC needs, in a folder."""

    def __init__(self, root: Path, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment | {"DVC_NO_ANALYTICS": "1"}
        shutil.copytree(root / "data" / "zoo", folder / "data" / "zoo")
        for name in ("params.yaml", "versions.yaml", ".dvcignore", ".gitignore"):
            shutil.copy(root / name, folder / name)
        stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
        del stages["evaluate"]  # it does not depend on the ranking
        (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
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
        params["data"]["sets"] = SETS
        params["zoo"]["models"] = list(models)
        params["score"]["names"] = ["itm", "knn"]
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params))

    def raise_version(self, score: str) -> None:
        """Raise the version of a score in versions.yaml."""
        versions = yaml.safe_load((self.folder / "versions.yaml").read_text())
        versions["scores"][score] += 1
        (self.folder / "versions.yaml").write_text(yaml.safe_dump(versions))

    def changed_stages(self) -> set[str]:
        """Return the stages that DVC would run again."""
        return set(json.loads(self.run("dvc", "status", "--json")))

    def ranked(self) -> list[set[str]]:
        """Return the models in the ranking of each data set."""
        ranking: dict[str, Any] = json.loads((self.folder / "data/scores/ranking.json").read_text())
        return [{row["model"] for row in data["rows"]} for data in ranking["data_sets"]]
