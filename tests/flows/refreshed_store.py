"""A small store that is refreshed several times, for tests that damage it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from itm.refresh.history import read_history
from itm.refresh.records import Refresh
from itm.store.layout import Store

ROOT = Path(__file__).parents[2]
VALUES: dict[str, Any] = {
    "data": {"sets": ["synthetic:shapes?images=40", "synthetic:textures?images=40"]},
    "zoo": {
        "file": str(ROOT / "data" / "zoo" / "zoo.yaml"),
        "models": ["test_resnet.drawn_long", "test_efficientnet.textures"],
    },
    "score": {"names": ["itm", "knn"]},
    "track": {"uri": None},
}


class RefreshedStore:
    """A folder with a parameter file and a store, `files`."""

    def __init__(self, folder: Path) -> None:
        self.params, self.files = folder / "params.yaml", Store(folder / "store")
        folder.mkdir(exist_ok=True)
        self.write_params()

    def write_params(self, **changes: dict[str, Any]) -> None:
        """Write the parameters, with changes."""
        self.params.write_text(yaml.safe_dump(VALUES | {"store": str(self.files.root)} | changes))

    def refresh(self) -> Refresh:
        """Refresh through the flow, in this process."""
        from flows.refresh import refresh_flow

        return refresh_flow(str(self.params))[0]

    def start_refresh(self, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        """Start `itm refresh` in a process group of its own."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = ["itm", "refresh", "--params", str(self.params)]
        return subprocess.Popen(command, env=environment | {"OMP_NUM_THREADS": "1"}, start_new_session=True, **quiet)

    def scores(self) -> bytes:
        """Return scores.parquet."""
        return self.files.scores.read_bytes()

    def features(self) -> list[Path]:
        """Return the stored feature files in the order of their names."""
        return sorted((self.files.root / "cache" / "features").rglob("[!.]*.parquet"))

    def score_files(self, score: str = "[!.]*") -> list[Path]:
        """Return the stored score files in the order of their names."""
        return sorted((self.files.root / "cache" / "scores").rglob(f"{score}-*.json"))

    def log(self, number: int) -> str:
        """Return all messages in the log of a refresh."""
        lines = (self.files.refresh(number) / "log.jsonl").read_text().splitlines()
        return "\n".join(json.loads(line)["message"] for line in lines)

    def runs(self, which: str = "") -> int:
        """Return the number of MLflow runs that match a filter."""
        from mlflow import MlflowClient

        client = MlflowClient(*[f"sqlite:///{self.files.root}/mlflow.db"] * 2)
        return sum(len(client.search_runs([one.experiment_id], which)) for one in client.search_experiments())

    def check_whole(self) -> None:
        """Check that no temporary file is left and that the last record of the history is that of the last refresh."""
        assert list(self.files.root.rglob(".tmp-*")) == []
        records = sorted(self.files.refresh(0).parent.glob("*/refresh.json"))
        assert f"{read_history(self.files)[-1].number:06d}" == records[-1].parent.name
