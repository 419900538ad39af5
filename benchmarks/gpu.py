"""Measure everything that runs on a GPU: `python -m benchmarks.gpu`. It takes less than eight minutes and needs no network.

The parts are computed one after another in a process of their own, each within its budget of seconds. A part that fails, ends
the process or takes too long does not stop the others: its missing figures are null, and `failed` has the reason. Models have
random weights or those of the embedded zoo, and all images are crops of the two photographs that scikit-learn ships.

`--device cpu --small` does the same with tiny models and few images, to test this program. Its figures mean nothing.
The last line is JSON. The exit status is 1 if a part failed.
"""

import argparse
import json
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.gpu_watch import Results, Runner

PARTS = {  # seconds that each may take
    "tests": 70,
    "equality": 90,
    "extract_resnet": 80,
    "extract_vit": 80,
    "extract_convnext": 80,
    "finetune": 80,
    "itm": 100,
}
SECONDS = 465  # of all parts together
START = 120  # seconds in which a process must be ready


def main() -> None:
    """Run the parts that are asked for and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="where models compute: cuda, cuda:1 or cpu")
    parser.add_argument("--small", action="store_true", help="use tiny models and few images")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--folder", type=Path, help="where files are written; by default a folder that is removed at the end")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the process of the parts is killed, too
    began = time.perf_counter()
    with TemporaryDirectory(prefix="itm-gpu-") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "benchmarks.gpu_parts", str(folder), options.device, *["--small"] * options.small]
        results = Runner(command, folder, {name: PARTS[name] for name in options.parts}, START, SECONDS).run()
    found = report(results, options.parts) | {"small": options.small, "seconds": round(time.perf_counter() - began, 1)}
    print(json.dumps(found))
    raise SystemExit(1 if results.failed else 0)


def report(results: Results, parts: list[str]) -> dict[str, Any]:
    """Return the figures of all parts, what computed them, and why parts failed."""
    versions = {name: version(name) for name in ("torch", "timm")}
    machine = {"device": None} | versions | results.machine
    return machine | {name: results.figures.get(name) or None for name in parts} | {"failed": results.failed}


if __name__ == "__main__":
    main()
