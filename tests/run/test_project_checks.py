"""What DVC needs of a folder, and what `dvc status` does not see."""

import shutil
import subprocess
from pathlib import Path

import pytest

from itm.core.params import Params
from itm.run.findings import Finding
from itm.run.project_checks import check_project

STAGES = "stages: {ingest: {cmd: itm ingest, deps: [photos, {lists/all.csv: {}}]}, report: {cmd: itm report}}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


@pytest.fixture
def project(here: Path) -> Path:
    """Return a folder with git and DVC."""
    subprocess.run(["git", "init", "-q"], check=True)
    (here / ".dvc").mkdir()
    (here / "dvc.yaml").write_text(STAGES)
    return here


def found(*sets: str) -> dict[str, Finding]:
    return {finding.what: finding for finding in check_project(Params.model_validate({"data": {"sets": sets or ("digits",)}}))}


def test_a_folder_without_stages_needs_no_git(here):
    assert here.is_dir()
    assert found() == {"project": found()["project"]}
    assert found()["project"].mark == "ok  "


def test_a_clone_with_watched_data_is_good(project):
    (project / "photos" / "pets").mkdir(parents=True)
    results = found(
        "folder:photos", "folder:photos/pets", "csv:lists/all.csv", "digits", f"mine=folder:{project}/photos/../photos"
    )
    assert [finding.mark for finding in results.values()] == ["ok  ", "ok  "]


@pytest.mark.parametrize("source", ["folder:others", "csv:lists/some.csv", "folder:photos2", "mine=parquet:a.parquet"])
def test_data_that_no_stage_depends_on_is_a_note(project, source):
    assert project.is_dir()
    finding = found("folder:photos", source)["dvc.yaml"]
    path = source.rpartition(":")[2]
    assert finding.mark == "note"
    assert f"add `- {path}` to the deps of the stage ingest in dvc.yaml" in finding.text


def test_a_folder_that_is_no_clone_is_wrong(project):
    shutil.rmtree(project / ".git")
    finding = found()["git"]
    assert finding.mark == "FAIL"
    assert finding.text == f"{project} is no git clone, and DVC needs one; run `git init`, or clone the repository"


def test_a_clone_of_another_user_is_named(project, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert f"run `git config --global --add safe.directory {project}`" in found()["git"].text


def test_a_missing_git_is_named(project, monkeypatch):
    monkeypatch.setenv("PATH", str(project))
    assert found()["git"].text == "is not installed, and DVC needs it; install it"


def test_a_missing_dvc_folder_is_named(project):
    shutil.rmtree(project / ".dvc")
    assert "run `dvc init`" in found()["dvc.yaml"].text


@pytest.mark.parametrize("text", ["stages: [", "[1, 2]", "stages: 3"])
def test_stages_that_cannot_be_read_are_wrong(project, text):
    (project / "dvc.yaml").write_text(text)
    assert found()["dvc.yaml"].mark == "FAIL"


@pytest.mark.parametrize("text", ["", "stages:", "stages: {ingest: }", "vars: [a.yaml]"])
def test_empty_stages_watch_nothing(project, text):
    (project / "dvc.yaml").write_text(text)
    assert found("folder:photos")["dvc.yaml"].mark == "note"


def test_make_rank_says_at_once_that_a_folder_is_no_clone(here, root):
    shutil.copy(root / "Makefile", here)
    done = subprocess.run(["make", "rank"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{here} is no git clone, and DVC needs one: run 'git init', or clone the repository" in done.stderr
    assert not (here / ".venv").exists()


def test_the_port_of_make_ui_can_be_chosen(here, root):
    shutil.copy(root / "Makefile", here)
    for words, port in (([], 5000), (["PORT=5001"], 5001)):
        done = subprocess.run(["make", "-n", "-o", ".venv/installed", "ui", *words], capture_output=True, text=True, check=True)
        assert f"--port {port}" in done.stdout
