"""A table of a million rows that lies on the disk is scored in little memory."""

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

ROWS, WIDTH, CLASSES, BLOCK = 1_000_000, 1_024, 20, 20_000
MEBIBYTE = 2**20


def write(path: Path) -> np.ndarray:
    """Write Gaussian classes that overlap, a block of rows at a time, and return the class numbers."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(ROWS) % CLASSES)
    centres = 0.06 * rng.standard_normal((CLASSES, WIDTH), dtype=np.float32)
    noise = rng.standard_normal((BLOCK, WIDTH), dtype=np.float32)
    table = np.memmap(path, np.float32, "w+", shape=(ROWS, WIDTH))
    for start in range(0, ROWS, BLOCK):  # shuffled noise of one block is as good as new and drawn in a tenth of the time
        block = noise[rng.permutation(BLOCK)]
        block += rng.standard_normal(WIDTH, dtype=np.float32) / 10
        table[start : start + BLOCK] = block + centres[labels[start : start + BLOCK]]
    table.flush()
    return labels


def anonymous() -> int:
    """Return the bytes of this process that are no file's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def measure(path: Path) -> dict[str, float]:
    """Score the table at `path` and return how much memory that took beyond what was there before, and how long."""
    from itm.scores import Splitting, evaluate

    labels = np.load(path.with_suffix(".npy"))
    table = np.memmap(path, np.float32, "r", shape=(ROWS, WIDTH))
    ids = np.char.zfill(np.arange(ROWS).astype("U7"), 7)
    evaluate("itm", np.ones((5, 2)), np.arange(5) % 2, options={"steps": 100})  # what is loaded once is not the table's
    before, seen, done = anonymous(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            seen.append(anonymous())

    watching = threading.Thread(target=watch)
    watching.start()
    started = time.perf_counter()
    result = evaluate("itm", table, labels, ids=ids, splitting=Splitting("paper"))
    took = time.perf_counter() - started
    done.set()
    watching.join()
    return {"grown": max(seen) - before, "seconds": took, "value": result.value, "samples": len(seen)}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_million_rows_are_scored_in_two_gibibytes(tmp_path: Path) -> None:
    """Four gigabytes on the disk are scored by the default options with at most 2 GiB of memory, and above chance."""
    if shutil.disk_usage(tmp_path).free < 6 * 1024 * MEBIBYTE:
        pytest.skip("a table of 4 GB needs 6 GiB of free disk")
    path = tmp_path / "table.f4"
    np.save(path.with_suffix(".npy"), write(path))
    try:
        done = subprocess.run([sys.executable, __file__, str(path)], capture_output=True, text=True, check=True)
    finally:
        path.unlink()
    found = json.loads(done.stdout)
    assert found["samples"] > 100
    assert 2 / CLASSES < found["value"] < 1
    assert found["grown"] <= 2048 * MEBIBYTE, f"{found['grown'] / MEBIBYTE:.0f} MiB"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]))))
