"""The repository as a project whose deployments run on a Prefect server, with commands and processes of its own."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from itm.store.layout import Store

HOST = "127.0.0.1"
PATIENCE = 300  # seconds
SETS = [f"synthetic:{family}?images=40" for family in ("shapes", "textures")]
MODELS = ["test_*"]  # eight


def until(find: Callable[[], Any], what: str) -> Any:
    """Call `find` until it returns something, and return that."""
    end = time.monotonic() + PATIENCE
    while not (found := find()):
        assert time.monotonic() < end, f"waited {PATIENCE} s for {what}"
        time.sleep(0.05)
    return found


def free_port() -> int:
    """Return a free port."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Project:
    """The repository as a working directory, and an environment in which every process has one thread."""

    root: Path
    folder: Path
    environment: dict[str, str]

    @contextmanager
    def running(self, name: str, *command: str) -> Iterator[psutil.Process]:
        """Run a server, and stop it with its children at the end."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = psutil.Popen(command, cwd=self.root, env=self.environment, stdout=log, stderr=log)
            try:
                yield process
            finally:
                end(process)

    def done(self, *command: str) -> str:
        """Run a command to its end and return its output."""
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def params(self, name: str, sets: Sequence[str] = SETS, **runner: object) -> tuple[Path, Store]:
        """Write a parameter file with a store of its own, and return both."""
        store = Store(self.folder / name)
        values = {
            "data": {"sets": [*sets]},
            "zoo": {"file": str(self.root / "data" / "zoo" / "zoo.yaml"), "models": MODELS},
            "score": {"names": ["logme", "knn"], "rank_by": "knn"},
            "runner": runner,
            "refresh": {"version": False},
            "track": {"uri": None},
            "store": str(store.root),
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values))
        return path, store

    def begin(self, params: Path) -> str:
        """Have the server run the nightly deployment with a parameter file, and return the name of the flow run."""
        said = self.done("prefect", "deployment", "run", "refresh/nightly", "-p", f"params={params}")
        return next(line.split("UUID: ")[1].strip() for line in said.splitlines() if "UUID: " in line)

    def state(self, flow_run: str) -> dict[str, Any]:
        """Return the state of a flow run once it is final."""

        def final() -> Any:
            address = f"{self.environment['PREFECT_API_URL']}/flow_runs/{flow_run}"
            found = httpx.get(address, timeout=60).raise_for_status().json()["state"]
            return found if found["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        state: dict[str, Any] = until(final, "the end of the flow run")
        return state


def end(process: psutil.Popen) -> None:
    """Terminate a process with its children, and kill what remains."""
    family = [process]
    with suppress(psutil.NoSuchProcess):
        family += process.children(recursive=True)
        process.terminate()
    for one in psutil.wait_procs(family, timeout=20)[1]:
        with suppress(psutil.NoSuchProcess):
            one.kill()
