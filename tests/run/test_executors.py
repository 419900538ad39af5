"""Executors differ in who runs the jobs, and in nothing else."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from engine_stages import First

from itm.core.errors import ItmError
from itm.core.params import Params, RunnerParams
from itm.core.types import DataRef, ModelRef, Outcome, TargetSpec
from itm.core.yaml_records import parse
from itm.features import devices
from itm.finetuning.pairs import FINETUNE
from itm.run import pipeline
from itm.run.engine import execute
from itm.run.executors import Inline, Processes, Threads, executor
from itm.run.plan import Plan, plan
from itm.store.layout import Store

pytestmark = pytest.mark.slow

Ranked = tuple[list[Outcome], bytes]
Rank = Callable[[str], Ranked]
MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures", "test_vit.drawn_long"]
KINDS = ["threads", pytest.param("processes", marks=pytest.mark.slow), pytest.param("dask", marks=pytest.mark.clusters)]


@pytest.fixture
def rank(zoo_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rank:
    """Rank and fine-tune on one small data set with an executor of some kind."""
    monkeypatch.setattr(devices, "THREADS", 1)  # embeddings differ in their last digits with another number of threads

    def call(kind: str) -> Ranked:
        values = {
            "data": {"sets": ["synthetic:shapes?images=60"]},
            "zoo": {"file": zoo_file, "models": [*MODELS, "test_resnet.nowhere"]},
            "score": {"names": ["knn", "logme"]},
            "finetune": {"protocols": ["head"], "seeds": 1},
            "runner": {"kind": kind, "workers": 2, "together": 2},
            "store": tmp_path / kind,
        }
        params, store = parse(values, Params, "test"), Store(tmp_path / kind)
        planned, runner = plan(params, store), executor(params.runner)
        outcomes = execute(planned, runner, store, params)
        pipeline.conclude(planned, outcomes, params, store)
        outcomes += execute(planned.through(FINETUNE), runner, store, params)
        return list(map(timeless, outcomes)), store.scores.read_bytes()

    return call


def timeless(outcome: Outcome) -> Outcome:
    """Return an outcome without paths and times."""
    features = outcome.features and replace(outcome.features, path=Path(), images_per_second=1.0)
    scores = tuple(replace(score, seconds=0.0) for score in outcome.scores)
    return replace(outcome, features=features, scores=scores, runs=tuple(replace(run, seconds=0.0) for run in outcome.runs))


@pytest.mark.parametrize("kind", KINDS)
def test_every_executor_computes_what_inline_computes(rank, kind):
    expected, found = rank("inline"), rank(kind)
    assert found == expected
    assert len(expected[0]) == 2 * len(MODELS)
    assert all(len(outcome.scores) == 2 for outcome in expected[0][: len(MODELS)])
    assert all(len(outcome.runs) == 1 for outcome in expected[0][len(MODELS) :])


@pytest.mark.slow
@pytest.mark.clusters
def test_an_error_of_a_dask_worker_is_a_failure(tmp_path, store):
    data = DataRef("data", "digits", Path("x"), "hash", TargetSpec(), 9)
    models = tuple(map(ModelRef, ("a", "error in first", "known error in first")))
    planned = Plan((data,), models, tuple((model, data) for model in models), (First(tmp_path),))
    runner = RunnerParams(kind="dask", workers=1)
    outcomes = execute(planned, executor(runner), store, Params(runner=runner))
    assert [outcome.reason for outcome in outcomes] == [
        "first: passed",
        "first: KeyError: 'error in first'",
        "first: known error in first; do this.",
    ]


def test_the_parameters_name_the_executor():
    assert executor(RunnerParams(kind="inline")) == Inline()
    assert executor(RunnerParams(kind="threads", workers=3)) == Threads(3)
    assert executor(RunnerParams(kind="processes", workers=3)) == Processes(3)


def test_dask_names_the_extra_that_installs_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "itm.run.executors.dask", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ItmError, match=r"pip install 'itm-rank\[dask\]'"):
        executor(RunnerParams(kind="dask"))


WITHOUT_SHARED_MEMORY = """
import subprocess
from itm.core.errors import ParamsError
from itm.core.params import RunnerParams
from itm.run.executors import executor
for options in ("ro", "nr_inodes=1"):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", "/dev/shm"], check=True)
    for kind in ("processes", "threads", "inline"):
        try:
            with executor(RunnerParams(kind=kind)).start(1):
                print(kind, "started")
        except ParamsError as error:
            print(kind, error)
"""


def test_only_worker_processes_need_shared_memory_and_say_so(root):
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-c", WITHOUT_SHARED_MEMORY]
    if subprocess.run([*command[:3], "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    refused = "processes worker processes cannot be started here: /dev/shm gives no memory for their locks ({}); {}."
    assert done.stdout.splitlines() == [
        refused.format("Read-only file system", "mount it writable, or set runner.kind to 'threads'"),
        "threads started",
        "inline started",
        refused.format("No space left on device", "free space there, or set runner.kind to 'threads'"),
        "threads started",
        "inline started",
    ], done.stderr
