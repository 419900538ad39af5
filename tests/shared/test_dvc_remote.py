"""A DVC remote on S3 holds what a ranking wrote, for whoever clones the repository."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

PARAMS = {
    "data": {"sets": ["synthetic:shapes?images=60"]},
    "zoo": {"file": "zoo/zoo.yaml", "models": ["test_resnet.drawn_long"]},
    "score": {"names": ["itm"]},
    "runner": {"kind": "inline"},
    "track": {"uri": None},
}
STAGES = {"stages": {"rank": {"cmd": "itm rank --quiet", "params": ["data", "zoo", "score"], "outs": ["data/scores"]}}}


def run(folder: Path, *command: str) -> str:
    """Run a command in a folder and return all it said."""
    identity = {f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = os.environ | identity | {"DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.servers
def test_a_clone_pulls_the_scores_that_were_pushed(root: Path, tmp_path: Path, bucket: str) -> None:
    project, clone = tmp_path / "project", tmp_path / "clone"
    project.mkdir()
    (project / "zoo").mkdir()
    for name in ("zoo.yaml", "test_resnet.drawn_long.safetensors"):
        shutil.copy(root / "data" / "zoo" / name, project / "zoo" / name)
    (project / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    (project / "dvc.yaml").write_text(yaml.safe_dump(STAGES))
    (project / ".gitignore").write_text("/data/\n")
    run(project, "git", "init", "--quiet")
    run(project, "dvc", "init", "--quiet")
    run(project, "dvc", "remote", "add", "-d", "shared", f"s3://{bucket}/dvc")
    run(project, "dvc", "repro")
    run(project, "git", "add", ".")
    run(project, "git", "commit", "--quiet", "-m", "Rank")
    assert "pushed" in run(project, "dvc", "push")

    run(tmp_path, "git", "clone", "--quiet", "project", "clone")
    assert not (clone / "data").exists()
    run(clone, "dvc", "pull")
    scores = Path("data") / "scores" / "scores.parquet"
    assert (clone / scores).read_bytes() == (project / scores).read_bytes()
    assert "up to date" in run(clone, "dvc", "status")
