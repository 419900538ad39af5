"""Dask workers that see neither the driver's disk nor each other's rank as one machine does."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from itm.core.sections import DataParams
from itm.data.ingest import ingest
from itm.store.layout import Store

pytestmark = [pytest.mark.slow, pytest.mark.clusters]

WAIT = 120  # seconds


@contextmanager
def started(folder: Path, *command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Dask process in a folder of its own until it is no longer needed."""
    folder.mkdir()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli." + command[0], *command[1:], "--dashboard-address", "127.0.0.1:0"],
            cwd=folder,
            env=os.environ | environment,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(WAIT)


@pytest.fixture
def scheduler(tmp_path: Path, bucket: str) -> Iterator[str]:
    """Start a scheduler with two workers whose stores lie in their own folders, and return its address."""
    assert bucket  # the workers inherit the environment that leads to it
    told = tmp_path / "scheduler.json"
    local = ("--host", "127.0.0.1")
    with ExitStack() as stack:
        stack.enter_context(
            started(tmp_path / "scheduler", "dask_scheduler", *local, "--port", "0", "--scheduler-file", str(told))
        )
        for name in ("worker1", "worker2"):
            command = ("dask_worker", "--scheduler-file", str(told), *local, "--nthreads", "1", "--no-nanny")
            stack.enter_context(started(tmp_path / name, *command, ITM_STORE=str(tmp_path / name / "store")))
        ends = time.monotonic() + WAIT
        while not told.exists() or not told.read_text().strip():
            assert time.monotonic() < ends, "no scheduler came up"
            time.sleep(0.1)
        yield json.loads(told.read_text())["address"]


def rank(folder: Path, root: Path, environment: dict[str, str], **changes: object) -> str:
    """Rank images below a folder, named by paths that count from there, and return what was said."""
    params = {
        "data": {"sets": ["folder:images"]},
        "zoo": {
            "file": str(root / "data" / "zoo" / "zoo.yaml"),
            "models": ["test_resnet.*", "test_efficientnet.textures"],
        },
        "score": {"names": ["logme", "knn"], "rank_by": "knn"},
        "track": {"uri": None},
        "store": "store",
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params | changes))
    done = subprocess.run(["itm", "rank"], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_workers_that_share_a_bucket_alone_rank_as_one_machine_does(
    root: Path, tmp_path: Path, bucket: str, scheduler: str
) -> None:
    ingest("synthetic:shapes?images=60", DataParams(), Store(tmp_path / "drawn"))
    (images,) = (tmp_path / "drawn" / "raw").iterdir()
    driver, alone = tmp_path / "driver", tmp_path / "alone"
    for machine in (driver, alone):
        shutil.copytree(images, machine / "images")
    environment = os.environ | {"PREFECT_HOME": str(tmp_path / "prefect")}
    rank(alone, root, environment, runner={"kind": "inline"})
    dask = {"kind": "dask", "address": scheduler}
    said = rank(driver, root, environment, runner=dask, shared=f"s3://{bucket}/itm")
    assert "extracted 3 pairs (0 cached), computed 6 scores (0 cached)" in said
    assert (driver / "store/scores/scores.parquet").read_bytes() == (alone / "store/scores/scores.parquet").read_bytes()
    assert not list((driver / "store" / "cache").rglob("test_*"))
    workers = [tmp_path / name / "store" for name in ("worker1", "worker2")]
    assert sum(len(list(worker.glob("cache/features/*/*.parquet"))) for worker in workers) >= 3
