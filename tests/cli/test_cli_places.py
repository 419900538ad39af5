"""Commands print the places of files as they are, and one line where a place cannot be used."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from itm.cli.commands import app

pytestmark = pytest.mark.slow

Run = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("own_logger")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoo_file: Path) -> Run:
    """Call a command with a store, in a folder with nothing else."""
    monkeypatch.chdir(tmp_path)

    def call(store: str, *words: str, status: int = 0) -> Result:
        params = {
            "data": {"sets": ["synthetic:shapes?images=60"]},
            "zoo": {"file": str(zoo_file), "models": ["test_resnet.drawn_short"]},
            "score": {"names": ["knn"], "rank_by": "knn"},
            "runner": {"kind": "inline"},
            "store": store,
        }
        Path("params.yaml").write_text(yaml.safe_dump(params))
        result = CliRunner().invoke(app, words)
        assert result.exit_code == status, result.output
        return result

    return call


@pytest.mark.parametrize("store", ["[red]x {y}*", "100% %3F '~' \"$HOME\"", "ünïcode Ж 猫 a&b=c;d"])
def test_names_of_folders_are_printed_and_used_as_they_are(run: Run, tmp_path: Path, store: str) -> None:
    assert f"page: {store}/reports/index.html   scores: {store}/scores/scores.parquet" in run(store, "rank").stdout
    assert f"page: {store}/reports/index.html" in run(store, "show").stdout
    assert "None of 1 pair is stale" in run(store, "status").stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["params.yaml", store])


@pytest.mark.parametrize("command", ["rank", "ingest", "extract", "score", "finetune"])
def test_a_store_that_cannot_be_written_is_one_line_before_any_work(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "store").write_text("a file")
    result = run("store", command, status=2)
    assert (
        result.stderr
        == "error: store/indexes: cannot be written: store is a file, not a folder; move it away or change `store`.\n"
    )
    assert result.stdout == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("command", ["show", "report", "status", "rank"])
def test_a_store_of_another_user_is_one_line(run: Run, tmp_path: Path, command: str) -> None:
    folders = [folder for folder in (tmp_path, *tmp_path.parents) if folder.stat().st_mode & 0o077 == 0]
    for folder in folders:
        folder.chmod(0o755)
    (tmp_path / "store").mkdir(mode=0o700)
    (tmp_path / "params.yaml").touch()
    (tmp_path / "params.yaml").chmod(0o666)
    os.seteuid(65534)
    try:
        result = run("store", command, status=2)
    finally:
        os.seteuid(0)
        for folder in folders:
            folder.chmod(0o700)
    assert result.stderr.startswith("error: store/")
    assert "Permission denied" in result.stderr
    assert "change its permissions, or run as its owner" in result.stderr
    assert len(result.stderr.splitlines()) == 1
