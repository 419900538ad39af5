"""A small store that is refreshed night after night, for tests that disturb it."""

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
    "data": {"sets": ["made:shapes?images=40", "made:textures?images=40"]},
    "zoo": {
        "file": str(ROOT / "data" / "zoo" / "zoo.yaml"),
        "models": ["test_resnet.drawn_long", "test_efficientnet.textures"],
    },
    "score": {"names": ["itm", "knn"]},
    "track": {"uri": None},
}


class Nights:
    """One folder with a parameter file and a store."""

    def __init__(self, folder: Path) -> None:
        self.params, self.store = folder / "params.yaml", Store(folder / "store")
        folder.mkdir(exist_ok=True)
        self.say()

    def say(self, **changes: dict[str, Any]) -> None:
        """Write the parameters, some of them changed."""
        self.params.write_text(yaml.safe_dump(VALUES | {"store": str(self.store.root)} | changes))

    def refresh(self) -> Refresh:
        """Refresh through the flow, in this process."""
        from flows.refresh import refresh_flow

        return refresh_flow(str(self.params))[0]

    def begin(self, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        """Begin a refresh by the command, in a process group of its own."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = ["itm", "refresh", "--params", str(self.params)]
        return subprocess.Popen(command, env=environment | {"OMP_NUM_THREADS": "1"}, start_new_session=True, **quiet)

    def scores(self) -> bytes:
        """Return scores.parquet."""
        return self.store.scores.read_bytes()

    def features(self) -> list[Path]:
        """Return the stored feature files in the order of their names."""
        return sorted((self.store.root / "cache" / "features").rglob("[!.]*.parquet"))

    def score_files(self, score: str = "[!.]*") -> list[Path]:
        """Return the stored score files in the order of their names."""
        return sorted((self.store.root / "cache" / "scores").rglob(f"{score}-*.json"))

    def told(self, number: int) -> str:
        """Return all messages in the log of a refresh."""
        lines = (self.store.refresh(number) / "log.jsonl").read_text().splitlines()
        return "\n".join(json.loads(line)["message"] for line in lines)

    def runs(self, which: str = "") -> int:
        """Return how many runs MLflow holds, or how many of some kind."""
        from mlflow import MlflowClient

        client = MlflowClient(*[f"sqlite:///{self.store.root}/mlflow.db"] * 2)
        return sum(len(client.search_runs([one.experiment_id], which)) for one in client.search_experiments())

    def check_whole(self) -> None:
        """Check that nothing is left half-written and that the last record of the history is the one of the last refresh."""
        assert list(self.store.root.rglob(".tmp-*")) == []
        records = sorted(self.store.refresh(0).parent.glob("*/refresh.json"))
        assert f"{read_history(self.store)[-1].number:06d}" == records[-1].parent.name
