"""A Prefect server, its worker and a Dask cluster as people start them: losing some of it changes nothing of a ranking."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from itm.store.layout import Store
from tests.flows.deployed_project import HOST, PATIENCE, SETS, Project, free_port, until

pytestmark = [pytest.mark.slow, pytest.mark.clusters]

PAIRS = 8 * len(SETS)


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
    work: dict[str, Any] = json.loads(max(store.root.glob("refreshes/*/refresh.json")).read_text())["payload"]["work"]
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
