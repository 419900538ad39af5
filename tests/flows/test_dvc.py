"""`dvc repro` and the flow run by hand lead to the same rooms."""

from pathlib import Path

import pytest

from tests.dvc_project import DvcProject

pytestmark = [pytest.mark.slow, pytest.mark.servers]

MODELS = ["test_resnet.drawn_long", "test_resnet.drawn_short", "test_efficientnet.textures"]


def test_models_come_and_go_with_params_and_both_doors_agree(root: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    project = DvcProject(root, tmp_path / "project", environment)
    project.set_models(*MODELS[:2])
    assert "extracted 4 pairs (0 cached)" in project.run("dvc", "repro")
    assert project.ranked() == [set(MODELS[:2])] * 2

    by_hand = project.run("itm", "rank")
    assert "extracted 0 pairs (4 cached), computed 0 scores (8 cached)" in by_hand
    assert "up to date" in project.run("dvc", "status")

    project.set_models(MODELS[0], MODELS[2])
    assert "extracted 2 pairs (2 cached)" in project.run("dvc", "repro")
    assert project.ranked() == [{MODELS[0], MODELS[2]}] * 2
    assert "up to date" in project.run("dvc", "status")

    project.raise_version("knn")
    assert project.changed_stages() == {"rank"}
    project.run("dvc", "commit", "--force", "rank")
    assert project.changed_stages() == set()
