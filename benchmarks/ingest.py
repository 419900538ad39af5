"""Measure ingestion of many images: `python -m benchmarks.ingest FOLDER --images 1000000`. Half an hour on two idle cores.

A folder of small JPEGs is written once. It is ingested into an empty store, then again with nothing changed. Then the usable
images of its index are read, and the index is queried lazily. Each step is a process of its own. The last line is JSON.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from itm.core.sections import DataParams
from itm.core.types import DataRef, TargetSpec
from itm.data.index import read_usable
from itm.data.ingest import ingest
from itm.store.layout import Store

COUNTS = 20_000, 100_000
NAME = "images"
HASH = "hash.txt"  # of the data, written by the first step
STEP = "from benchmarks.ingest import report; report({step!r}, {images!r}, {store!r})"


def main() -> None:
    """Write the images, measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=COUNTS)
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    print(json.dumps({count: _figures(folder, count, STEPS) for count in options.images}))


def ingest_peak_gib(folder: Path, count: int) -> float:
    """Ingest so many images and return the peak of resident memory in GiB."""
    return round(_figures(folder, count, {"ingest": "ingest"})["ingest"]["peak_mib"] / 1024, 2)


def report(step: str, images: str, store: str) -> None:
    """Run a step in this process and print its seconds and the peak of resident memory in MiB."""
    began = time.perf_counter()
    RUN[step](f"{NAME}={images}", Store(Path(store)))
    seconds = time.perf_counter() - began
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (peak,) = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    print(json.dumps({"seconds": round(seconds, 1), "peak_mib": round(peak / 1024)}))


def _figures(folder: Path, count: int, steps: dict[str, str]) -> dict[str, dict[str, float]]:
    """Write the images, and measure steps one after another in an empty store."""
    from benchmarks.extract_inputs import small_images  # imports torch, which the steps do not need

    images, store = small_images(folder / f"small{count}", count), folder / f"store{count}"
    shutil.rmtree(store, ignore_errors=True)
    return {step: _measured(name, images, store) for step, name in steps.items()}


def _measured(step: str, images: Path, store: Path) -> dict[str, float]:
    code = STEP.format(step=step, images=str(images), store=str(store))
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    print(f"{images.name}: {step}: {found}", flush=True)
    figures: dict[str, float] = json.loads(found)
    return figures


def _nothing(source: str, store: Store) -> None:
    """Do nothing: the peak is that of the imports."""


def _ingest(source: str, store: Store) -> None:
    store.make_folders()
    (store.root / HASH).write_text(ingest(source, DataParams(), store).hash, encoding="utf-8")


def _read(source: str, store: Store) -> None:
    hash_ = (store.root / HASH).read_text(encoding="utf-8")
    read_usable(DataRef(NAME, source, store.index(NAME), hash_, TargetSpec("classification"), images=0))


def _query(source: str, store: Store) -> None:  # noqa: ARG001
    """Count the usable images per class and split."""
    usable = pl.scan_parquet(store.index(NAME), glob=False).filter(pl.col("status") == "ok")
    usable.group_by("target", "split").len().collect(engine="streaming")


RUN: dict[str, Callable[[str, Store], None]] = {"imports": _nothing, "ingest": _ingest, "read": _read, "query": _query}
STEPS = {
    "imports": "imports",
    "ingest": "ingest",
    "ingest again": "ingest",
    "read the index": "read",
    "query the index": "query",
}

if __name__ == "__main__":
    main()
