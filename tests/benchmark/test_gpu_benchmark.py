"""`benchmarks/gpu.py`: its parts on a CPU, and parts that fail, end their process or take too long."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu import report
from benchmarks.gpu_watch import Runner

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PROCESS = """
import json, os, sys, time

with open(sys.argv[1], "a") as stream:
    def write(**line):
        print(json.dumps(line), file=stream, flush=True)

    write(machine={"device": "none"})
    for part in sys.argv[2:]:
        write(figure="begun", value=True)
        if part == "raises":
            write(end="ValueError: wrong")
            raise SystemExit(1)
        if part == "ends":
            os._exit(3)
        if part == "hangs":
            time.sleep(60)
        write(end=None)
"""


def test_a_part_that_fails_stops_no_other(tmp_path: Path) -> None:
    budgets = {"first": 20.0, "raises": 20.0, "second": 20.0, "ends": 20.0, "hangs": 0.3, "last": 20.0}
    results = Runner([sys.executable, "-c", PROCESS], tmp_path, budgets, start=20, seconds=60).run()
    assert results.failed == {
        "raises": "ValueError: wrong",
        "ends": "its process ended with status 3",
        "hangs": "took longer than 0.3 s",
    }
    assert results.figures == {name: {"begun": True} for name in budgets}
    found = report(results, [*budgets, "other"])
    assert found["device"] == "none"
    assert found["other"] is None
    assert found["failed"] == results.failed


def test_parts_after_the_time_of_all_are_not_begun(tmp_path: Path) -> None:
    results = Runner([sys.executable, "-c", PROCESS], tmp_path, {"hangs": 60.0, "next": 1.0}, start=60, seconds=15).run()
    assert "when all 15 s were used" in results.failed["hangs"]
    assert results.failed["next"] == "not begun: all 15 s were used"


def test_a_process_that_cannot_start_fails_all_parts(tmp_path: Path) -> None:
    code = """import json, sys; open(sys.argv[1], "w").write('{"end": "ParamsError: there is no GPU"}\\n')"""
    results = Runner([sys.executable, "-c", code], tmp_path, {"first": 20.0, "second": 20.0}, start=20, seconds=60).run()
    assert results.failed == dict.fromkeys(("first", "second"), "ParamsError: there is no GPU")
    assert report(results, ["first"])["device"] is None


def test_the_same_code_runs_on_a_cpu() -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--small", "--parts", "extract_resnet", "finetune"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["failed"] == {}
    extraction = found["extract_resnet"]
    assert extraction["images"] > 0
    assert min(extraction[state]["time_over_bound"] for state in ("cold", "decoded")) > 0
    assert found["finetune"]["test_resnet_steps_per_second"] > 0
    assert {"device", "torch", "timm"} <= found.keys()
