"""A memory-mapped table of a million rows is scored in little memory."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROWS, WIDTH, CLASSES, BLOCK = 1_000_000, 256, 20, 20_000
FEWER, NARROW = 250_000, 64  # rows and features that the scores on shared sums are given, one score after another
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
    """Return the anonymous memory of this process, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def by_itm(path: Path, ids: np.ndarray) -> float:
    """Return ITM of the table with default options."""
    from itm.scores import Splitting, evaluate

    table = np.memmap(path, np.float32, "r", shape=(ROWS, WIDTH))
    return evaluate("itm", table, np.load(path.with_suffix(".npy")), ids=ids, splitting=Splitting("holdout")).value


def by_sums(path: Path, ids: np.ndarray) -> float:
    """Take fewer and narrower rows from the table, and return how many of the scores on shared sums are finite."""
    from itm.scores import canonical, get, make, names

    table = np.memmap(path, np.float32, "r", shape=(FEWER, NARROW))
    sample = canonical(table, np.load(path.with_suffix(".npy"))[:FEWER], ids[:FEWER])
    chosen = [name for name in names() if get(name).sampling == "subset" and not get(name).info.needs]
    return float(np.isfinite([make(name).value(sample) for name in chosen]).sum())


def measure(path: Path, work: str) -> dict[str, float]:
    """Score the table at `path` and return the additional memory it took, and the time."""
    from itm.scores import evaluate

    ids = np.char.zfill(np.arange(ROWS).astype("U7"), 7)
    evaluate("itm", np.ones((5, 2)), np.arange(5) % 2, options={"steps": 100})  # imports are not counted
    evaluate("lead", np.eye(20), np.arange(20) % 2)
    before, seen, done = anonymous(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            seen.append(anonymous())

    watching = threading.Thread(target=watch)
    watching.start()
    started = time.perf_counter()
    value = {"by_itm": by_itm, "by_sums": by_sums}[work](path, ids)
    took = time.perf_counter() - started
    done.set()
    watching.join()
    return {"grown": max(seen) - before, "seconds": took, "value": value, "samples": len(seen)}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the path of the table; it is removed after the tests of this file."""
    folder = tmp_path_factory.mktemp("million")
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc")
    if shutil.disk_usage(folder).free < 2 * 1024 * MEBIBYTE:
        pytest.skip("a table of 1 GB needs 2 GiB of free disk")
    path = folder / "table.f4"
    np.save(path.with_suffix(".npy"), write(path))
    yield path
    path.unlink()


def measured(path: Path, work: str) -> dict[str, float]:
    """Run `measure` in a process of its own."""
    done = subprocess.run([sys.executable, __file__, str(path), work], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    assert found["samples"] > 100
    return found


@pytest.mark.clusters
@pytest.mark.slow
@pytest.mark.servers
def test_a_million_rows_are_scored_in_half_their_size(table: Path) -> None:
    found = measured(table, "by_itm")
    assert 2 / CLASSES < found["value"] < 1
    assert found["grown"] <= 512 * MEBIBYTE, f"{found['grown'] / MEBIBYTE:.0f} MiB"


@pytest.mark.clusters
@pytest.mark.slow
@pytest.mark.servers
def test_all_scores_on_shared_sums_take_many_rows(table: Path) -> None:
    found = measured(table, "by_sums")
    from itm.scores import get, names

    assert found["value"] == sum(get(name).sampling == "subset" and not get(name).info.needs for name in names())
    assert found["grown"] <= 384 * MEBIBYTE, f"{found['grown'] / MEBIBYTE:.0f} MiB"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]), sys.argv[2])))
