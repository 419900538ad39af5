"""Ctrl-C in the middle of a run: it ends at once, and the next run resumes from what was stored."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import yaml

from itm.store.files import read_table
from itm.store.layout import Store

pytestmark = [pytest.mark.slow, pytest.mark.servers]

PATIENCE = 240  # seconds
MODELS = ["test_resnet.drawn_long", "test_resnet.drawn_short", "test_efficientnet.textures", "test_vit.drawn_long"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}  # embeddings differ in their last digits with another number of threads


@pytest.fixture
def project(tmp_path: Path, zoo_file: Path) -> Path:
    """Return a folder with a parameter file of a ranking that takes some seconds."""
    params = {
        "data": {"sets": ["synthetic:shapes?images=600"]},
        "zoo": {"file": str(zoo_file), "models": MODELS},
        "score": {"names": ["knn", "logme"], "rank_by": "knn"},
        "track": {"uri": None},
        "store": "store",
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return tmp_path


def interrupt(project: Path, *command: str) -> None:
    """Run a command, and press Ctrl-C once it has stored features."""
    process = subprocess.Popen(
        command,
        cwd=project,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + PATIENCE
    while not features(project):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.01)
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    printed = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 130
    assert "interrupted; finished results are stored, and the same command resumes: itm " in printed
    assert "Traceback" not in printed
    assert psutil.wait_procs(family, timeout=30)[1] == []


def features(project: Path) -> list[Path]:
    return list((project / "store" / "cache" / "features").rglob("[!.]*.parquet"))


def finish(project: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=project, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_an_interrupted_ranking_resumes(project, tmp_path):
    interrupt(project, "itm", "rank", "--runner", "inline")
    stored = len(features(project))
    assert 0 < stored < len(MODELS)
    printed = finish(project, "itm", "rank", "--runner", "inline", "--quiet")
    assert f"extracted {len(MODELS) - stored} pairs ({stored} cached)" in printed
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    (undisturbed / "params.yaml").write_text((project / "params.yaml").read_text())
    finish(undisturbed, "itm", "rank", "--runner", "inline", "--quiet")
    expected, found = (Store(folder / "store").scores for folder in (undisturbed, project))
    assert read_table(found).equals(read_table(expected))


@pytest.mark.clusters
@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_workers_end_with_an_interrupt(project, kind):
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["data"]["sets"] = [f"synthetic:shapes?images=600&seed={seed}" for seed in range(4)]
    params["runner"] = {"kind": kind}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    interrupt(project, "itm", "extract")
    stored = len(features(project))
    assert 0 < stored < 4 * len(MODELS)
    assert finish(project, "itm", "extract").count("(cached)") == stored
