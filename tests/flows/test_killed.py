"""A flow that is killed again and again ends where an undisturbed one does."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from itm.store import Store

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.slow]

KILLS = 10
PARAMS = """
data: {{sets: ["made:shapes?images=80", "made:textures?images=80"]}}
zoo: {{file: {zoo}, models: ["test_*"]}}
score: {{names: [itm, logme]}}
store: {store}
"""


def command(folder: Path, root: Path) -> list[str]:
    """Write the parameters of a ranking below `folder` and return the command that makes it."""
    folder.mkdir(exist_ok=True)
    params = folder / "params.yaml"
    params.write_text(PARAMS.format(zoo=root / "data" / "zoo" / "zoo.yaml", store=folder / "store"))
    return ["itm", "rank", "--params", str(params)]


def test_killed_at_ten_random_moments_it_ends_as_if_undisturbed(
    root: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """After ten times SIGKILL in the middle of the work, the next run writes the very bytes of an undisturbed run.

    No file with a final name is ever half-written, and nothing of the killed runs is left behind.
    """
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    started = time.monotonic()
    subprocess.run(command(undisturbed, root), env=environment, check=True, capture_output=True)
    duration = time.monotonic() - started
    moments = random.Random(7)
    interrupted = 0
    for _ in range(3 * KILLS):
        if interrupted == KILLS:
            break
        process = subprocess.Popen(
            command(disturbed, root),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(moments.uniform(0.2 * duration, 0.9 * duration))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            interrupted += 1
        for path in (disturbed / "store").rglob("[!.]*.parquet"):
            pq.read_table(path, page_checksum_verification=True)
        for path in (disturbed / "store").rglob("[!.]*.json"):
            json.loads(path.read_text())
    assert interrupted == KILLS, "the runs ended before they could be killed"
    subprocess.run(command(disturbed, root), env=environment, check=True, capture_output=True)
    assert Store(disturbed / "store").scores.read_bytes() == Store(undisturbed / "store").scores.read_bytes()
    assert list((disturbed / "store").rglob(".tmp-*")) == []
