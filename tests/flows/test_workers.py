"""A Prefect server, its worker and a Dask cluster as people start them: losing some of it changes nothing of a ranking."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from itm.store.layout import Store

pytestmark = [pytest.mark.slow, pytest.mark.servers]

HOST = "127.0.0.1"
PATIENCE = 300  # seconds
SETS = [f"made:{family}?images=40" for family in ("shapes", "strokes", "textures")]
MODELS = ["test_*", "mini_resnet18.*", "mini_mobilenetv3*", "mini_convnext*", "mini_vit*.simclr"]
PAIRS = 12 * len(SETS)


def until(told: Callable[[], Any], what: str) -> Any:
    """Return what is told as soon as it is something."""
    end = time.monotonic() + PATIENCE
    while not (found := told()):
        assert time.monotonic() < end, f"waited {PATIENCE} s for {what}"
        time.sleep(0.05)
    return found


def free_port() -> int:
    """Return a port that nothing listens at."""
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
        """Run a command that does not end by itself, and all that it starts."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = psutil.Popen(command, cwd=self.root, env=self.environment, stdout=log, stderr=log)
            try:
                yield process
            finally:
                end(process)

    def done(self, *command: str) -> str:
        """Run a command to its end and return what it said."""
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def params(self, name: str, sets: Sequence[str] = SETS, **runner: object) -> tuple[Path, Store]:
        """Write a parameter file with a store of its own, and return both."""
        store = Store(self.folder / name)
        values = {
            "data": {"sets": [*sets]},
            "zoo": {"file": str(self.root / "data" / "zoo" / "zoo.yaml"), "models": MODELS},
            "score": {"names": ["itm", "knn"]},
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
    """End a process, which ends what it started; what remains is killed."""
    family = [process]
    with suppress(psutil.NoSuchProcess):
        family += process.children(recursive=True)
        process.terminate()
    for one in psutil.wait_procs(family, timeout=20)[1]:
        with suppress(psutil.NoSuchProcess):
            one.kill()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Return the project with a server, the deployments of prefect.yaml, and a worker of the pool `cpu`."""
    root, folder = Path(__file__).parents[2], tmp_path_factory.mktemp("workers")
    port = free_port()
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    prefect = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": f"http://{HOST}:{port}/api"}
    quick = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "true"}
    project = Project(root, folder, os.environ | threads | prefect | quick | {"PWD": str(root)})
    with ExitStack() as stack:
        stack.enter_context(project.running("server", "prefect", "server", "start", "--host", HOST, "--port", str(port)))
        until(lambda: answers(project.environment["PREFECT_API_URL"]), "the server")
        for pool in ("cpu", "gpu"):
            project.done("prefect", "work-pool", "create", pool, "--type", "process")
        project.done("prefect", "--no-prompt", "deploy", "--all")
        stack.enter_context(project.running("worker", "prefect", "worker", "start", "--pool", "cpu", "--type", "process"))
        yield project


def answers(address: str) -> bool:
    """Say whether a server is up."""
    try:
        return httpx.get(f"{address}/health").is_success
    except httpx.HTTPError:
        return False


@dataclass(frozen=True)
class Cluster:
    """A Dask scheduler and its two workers, each under a nanny that starts it again."""

    address: str
    scheduler: psutil.Process
    gpu: psutil.Process
    cpu: psutil.Process

    def worker(self, nanny: psutil.Process) -> psutil.Process:
        """Return the process that a nanny looks after."""
        return next(child for child in nanny.children() if "spawn_main" in " ".join(child.cmdline()))


@contextmanager
def started(project: Project, port: int) -> Iterator[Cluster]:
    """Start a scheduler and two workers, the first of which declares a GPU."""
    address, at = f"tcp://{HOST}:{port}", ("--host", HOST, "--dashboard-address", f"{HOST}:0")
    worker = ("dask", "worker", address, *at, "--nthreads", "1", "--local-directory", str(project.folder))
    with ExitStack() as stack:
        scheduler = stack.enter_context(project.running("scheduler", "dask", "scheduler", *at, "--port", str(port)))
        gpu = stack.enter_context(project.running("gpu", *worker, "--name", "gpu", "--resources", "GPU=1"))
        cpu = stack.enter_context(project.running("cpu", *worker, "--name", "cpu"))
        yield Cluster(address, scheduler, gpu, cpu)


@pytest.fixture(scope="module")
def undisturbed(project: Project) -> bytes:
    """Return the scores as the library alone computes them, one pair after another."""
    params, store = project.params("undisturbed", kind="inline")
    project.done("itm", "rank", "--params", str(params))
    return store.scores.read_bytes()


def check(store: Store, undisturbed: bytes) -> None:
    """Every pair is there once, and the scores have the bytes of an undisturbed run."""
    assert store.scores.read_bytes() == undisturbed
    record = last_work(store)
    assert record["failed"] == 0
    assert record["extracted"] + record["features_cached"] == PAIRS == len(feature_files(store))
    assert record["scored"] + record["scores_cached"] == 2 * PAIRS


def last_work(store: Store) -> dict[str, Any]:
    """Return what the last refresh that came to its end did; one that failed has a number but no record."""
    work: dict[str, Any] = json.loads(max(store.root.glob("refreshes/*/refresh.json")).read_text())["work"]
    return work


def feature_files(store: Store) -> list[Path]:
    """Return the embeddings that have been written."""
    return list(store.root.glob("cache/features/*/[!.]*.parquet"))


def listening(*processes: psutil.Process) -> set[str]:
    """Return the addresses at which processes or those that they started listen."""
    addresses = set()
    for one in [one for process in processes for one in (process, *process.children(recursive=True))]:
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            addresses |= {at.laddr.ip for at in one.net_connections("inet") if at.status == psutil.CONN_LISTEN}
    return addresses


def test_a_process_that_is_killed_changes_nothing(project: Project, undisturbed: bytes) -> None:
    """The worker of a pool runs the deployment of prefect.yaml; one of its two processes is killed amid extraction."""
    params, store = project.params("processes", kind="processes", workers=2, together=4)
    flow_run = project.begin(params)
    until(lambda: feature_files(store), "the first embeddings")
    (worker,) = [one for one in psutil.Process().children() if "worker" in one.cmdline()]
    pool = [one for one in worker.children(recursive=True) if "spawn_main" in " ".join(one.cmdline())]
    assert listening(*psutil.Process().children()) == {HOST}
    max(pool, key=lambda one: sum(one.cpu_times()[:2])).kill()
    assert len(feature_files(store)) < PAIRS
    assert project.state(flow_run)["type"] == "COMPLETED"
    check(store, undisturbed)


def test_dask_workers_that_are_killed_change_nothing(project: Project, undisturbed: bytes) -> None:
    """The worker with the GPU is killed and starts again, the other is gone for good; only the GPU's worker ever extracts."""
    from distributed import Client

    with started(project, free_port()) as cluster, Client(cluster.address) as client:
        params, store = project.params("dask", kind="dask", address=cluster.address, together=4)
        client.wait_for_workers(2, PATIENCE)
        (other,) = [address for address, one in client.scheduler_info()["workers"].items() if one["name"] == "cpu"]
        client.get_task_stream()  # from now on
        flow_run = project.begin(params)
        until(lambda: feature_files(store), "the first embeddings")
        cluster.worker(cluster.gpu).kill()
        until(lambda: len(feature_files(store)) > PAIRS // 2, "half of the embeddings")
        assert listening(*psutil.Process().children()) == {HOST}
        for one in (cluster.cpu, cluster.worker(cluster.cpu)):
            one.kill()
        assert len(feature_files(store)) < PAIRS
        assert project.state(flow_run)["type"] == "COMPLETED"
        tasks = [(task["key"].split("-")[0], task["worker"] == other) for task in client.get_task_stream(count=10_000)]
    assert {"extract_pair", "score_models"} == {name for name, _ in tasks}
    assert ("extract_pair", True) not in tasks
    check(store, undisturbed)


def test_a_scheduler_that_is_killed_is_told_of(project: Project) -> None:
    """Without its scheduler a refresh ends with an error that names it; the next one, on a new scheduler, computes the rest."""
    port = free_port()
    with started(project, port) as cluster:
        params, store = project.params("scheduler", SETS[:1], kind="dask", address=cluster.address)
        flow_run = project.begin(params)
        until(lambda: feature_files(store), "the first embeddings")
        cluster.scheduler.kill()
        state = project.state(flow_run)
    assert state["type"] == "FAILED"
    assert f"Dask scheduler at {cluster.address} does not answer" in state["message"]
    stored = len(feature_files(store))
    assert 0 < stored < PAIRS // len(SETS)
    with started(project, port):
        assert project.state(project.begin(params))["type"] == "COMPLETED"
    work = last_work(store)
    assert (work["failed"], work["features_cached"], work["scored"]) == (0, stored, 2 * PAIRS // len(SETS))
