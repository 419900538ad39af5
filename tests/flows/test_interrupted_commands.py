"""Signals at random moments of every kind of command: it ends at once, leaves no process, and the next run resumes."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.servers]
MINUTES = pytest.mark.clusters  # too long for CI; `make test-clusters` runs them

MODELS = ["test_resnet.drawn_long", "test_resnet.drawn_short", "test_efficientnet.textures", "test_vit.drawn_long"]
PATIENCE = 240  # seconds for a moment to come
PROMPT = 20  # seconds to end, far less than the work takes; 3 on a quiet machine
INDEX, FEATURES, RUNS = "indexes/*.parquet", "cache/features/*/[!.]*.parquet", "cache/finetuned/*/*/[!.]*.json"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return Prefect's home for all tests, since its database is slow to make."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture
def project(tmp_path: Path, zoo_file: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with the parameters of a ranking that takes some seconds."""
    params = {
        "data": {"sets": [f"synthetic:shapes?images=600&seed={seed}" for seed in range(3)]},
        "zoo": {"file": str(zoo_file), "models": MODELS},
        "score": {"names": ["knn", "logme"], "rank_by": "knn"},
        "finetune": {"steps": 20, "seeds": 1, "protocols": ["head"]},
        "store": "store",
        "refresh": {"version": False},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(home))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stop(project: Path, words: str, number: signal.Signals, moment: str | float) -> None:
    """Run a command and send a signal to its group, at a time after its start or when a file is stored."""
    process = subprocess.Popen(
        ["itm", *words.split()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    end = time.monotonic() + (moment if isinstance(moment, float) else PATIENCE)
    while time.monotonic() < end and not (isinstance(moment, str) and any((project / "store").glob(moment))):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, number)
    began = time.monotonic()
    printed = process.communicate(timeout=60)[0]
    assert time.monotonic() - began < PROMPT
    assert process.returncode == 128 + number, printed
    assert printed.splitlines()[-1].endswith(f"finished results are stored, and the same command resumes: itm {words}")
    assert not any(word in printed for word in ("Traceback", "Error", "KeyboardInterrupt", "lost")), printed
    assert psutil.wait_procs(family, timeout=10)[1] == []


@pytest.mark.parametrize(
    ("words", "number", "moment"),
    [
        ("rank --runner threads", signal.SIGINT, FEATURES),
        pytest.param("rank --runner threads", signal.SIGTERM, INDEX, marks=MINUTES),
        pytest.param("rank --runner processes", signal.SIGINT, FEATURES, marks=MINUTES),
        pytest.param("rank --runner dask", signal.SIGTERM, FEATURES, marks=MINUTES),
        pytest.param("rank --runner dask", signal.SIGINT, FEATURES, marks=MINUTES),
        ("rank --runner inline", signal.SIGTERM, INDEX),
        ("refresh", signal.SIGINT, FEATURES),
        pytest.param("finetune --runner threads", signal.SIGINT, RUNS, marks=MINUTES),
        pytest.param("finetune --runner processes", signal.SIGTERM, RUNS, marks=MINUTES),
        pytest.param("rank --runner threads --confirm 2", signal.SIGINT, RUNS, marks=MINUTES),
        ("ingest", signal.SIGTERM, INDEX),
        ("extract", signal.SIGINT, FEATURES),
    ],
)
def test_a_command_that_works_ends_at_once(project, words, number, moment):
    stop(project, words, number, moment)
    assert not any(path.stat().st_size == 0 for path in (project / "store").rglob("[!.]*.parquet"))


@MINUTES
@pytest.mark.parametrize("seed", range(6))
def test_a_command_ends_at_random_moments(project, seed):
    generator = random.Random(seed)
    words = generator.choice(["rank", "rank --runner inline", "rank --runner processes", "finetune", "extract", "score"])
    stop(project, words, generator.choice([signal.SIGINT, signal.SIGTERM]), generator.uniform(0.3, 20))
    assert not any(path.stat().st_size == 0 for path in (project / "store").rglob("[!.]*.parquet"))


@pytest.mark.clusters
def test_an_interrupted_ranking_and_its_tracking_are_completed(project):
    stop(project, "rank --runner threads", signal.SIGINT, FEATURES)
    stored = len(list((project / "store").glob(FEATURES)))
    done = subprocess.run(["itm", "rank", "--quiet"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"({stored} cached)" in done.stderr
    assert list((project / "store").rglob(".tmp-*")) == []
