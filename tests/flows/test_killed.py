"""A flow that is killed at one stage after another ends where an undisturbed one does."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from itm.store.layout import Store

pytestmark = [pytest.mark.slow, pytest.mark.clusters]

MOMENTS = ("indexes/*.parquet", "cache/features/*/*.parquet", "scores/scores.parquet")  # the first file of a stage is there
PARAMS = """
data: {{sets: ["synthetic:shapes?images=60", "synthetic:textures?images=60"]}}
zoo: {{file: {zoo}, models: [test_resnet.drawn_long, test_efficientnet.textures, test_vit.drawn_long]}}
score: {{names: [knn, logme], rank_by: knn}}
store: {store}
"""


def command(folder: Path, root: Path) -> list[str]:
    """Write the parameters of a ranking below `folder` and return the command that makes it."""
    folder.mkdir(exist_ok=True)
    params = folder / "params.yaml"
    params.write_text(PARAMS.format(zoo=root / "data" / "zoo" / "zoo.yaml", store=folder / "store"))
    return ["itm", "rank", "--params", str(params)]


def kill_at(moment: str, store: Path, process: subprocess.Popen[bytes]) -> bool:
    """Kill a run and all that it started as soon as a file with such a name is in its store; say whether it still ran."""
    while process.poll() is None:
        if any(store.glob(moment)):
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait() == -signal.SIGKILL
        time.sleep(0.002)
    return False


def test_killed_at_every_stage_it_ends_as_if_undisturbed(root: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """After SIGKILL amid ingestion, extraction and the report, the next run writes the very bytes of an undisturbed run.

    No file with a final name is ever half-written, and nothing of the killed runs is left behind.
    """
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    environment |= {"OMP_NUM_THREADS": "1"}  # embeddings differ in their last digits with another number of threads
    subprocess.run([*command(undisturbed, root), "--runner", "inline"], env=environment, check=True, capture_output=True)
    store = disturbed / "store"
    for moment in MOMENTS:
        process = subprocess.Popen(
            command(disturbed, root),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert kill_at(moment, store, process), f"the run ended before it could be killed at {moment}"
        for path in store.rglob("[!.]*.parquet"):
            pq.read_table(path, page_checksum_verification=True)
        for path in store.rglob("[!.]*.json"):
            json.loads(path.read_text())
    subprocess.run(command(disturbed, root), env=environment, check=True, capture_output=True)
    assert Store(disturbed / "store").scores.read_bytes() == Store(undisturbed / "store").scores.read_bytes()
    assert list((disturbed / "store").rglob(".tmp-*")) == []
