"""A request that cannot run ends before anything heavy is imported, and writes nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "timm", "prefect", "mlflow", "sklearn", "matplotlib")
RUN = """
import sys
from itm.cli.commands import app
try:
    app(sys.argv[2:])
finally:
    print("imported:", *(name for name in sys.argv[1].split() if name in sys.modules))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    (tmp_path / "broken.yaml").write_text("runner: {kind: inlin}\n")
    (tmp_path / "store.yaml").write_text("store: file\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("rank nosuch", "error: 'nosuch': unknown kind of source 'nosuch'"),
        ("rank folder:nosuch", "error: folder:nosuch: nosuch does not exist; check the path, which is relative to "),
        ("rank folder:nosuch csv:no.csv", "error: csv:no.csv: no.csv does not exist; check the path"),
        (
            "rank mine=parquet:/no/a.parquet",
            "error: mine=parquet:/no/a.parquet: /no/a.parquet does not exist; check the path.\n",
        ),
        ("rank digits --score itn", "error: no score 'itn'; did you mean 'itm'?"),
        ("rank digits --by itn", "error: options: score: rank_by is 'itn', which is not among the scores computed"),
        (
            "rank digits --runner inlin",
            "error: --runner: must be 'inline', 'threads', 'processes' or 'dask' (got 'inlin'); did you",
        ),
        ("rank digits --workers 0", "error: --workers: must be greater than or equal to 1 (got 0)."),
        ("rank digits --batch-size 0", "error: --batch-size: must be 1 or more, or 'auto' (got 0)."),
        ("rank digits --resume never", "error: --resume: 'never' no longer exists; use 'only-missing' (got 'never')."),
        ("rank digits --max-images x", "Invalid value for '--max-images'"),
        ("rank digits --confirm 0", "Invalid value for '--confirm'"),
        ("rank digits --confirn 2", "No such option: --confirn"),
        ("rank digits --params nope.yaml", "error: nope.yaml: cannot be read (No such file or directory); check the path."),
        ("rank digits --params broken.yaml", "error: broken.yaml: runner.kind: must be 'inline'"),
        (
            "rank digits --params store.yaml",
            "error: file/indexes: cannot be written: file is a file, not a folder; move",
        ),
        ("rank digits --zoo nope.yaml", "error: nope.yaml: cannot be read (No such file or directory); check the path"),
        ("finetune folder:nosuch", "error: folder:nosuch: nosuch does not exist"),
        ("finetune digits --steps 0", "error: --steps: must be greater than or equal to "),
        ("ingest folder:nosuch", "error: folder:nosuch: nosuch does not exist"),
        ("extract csv:no.csv", "error: csv:no.csv: no.csv does not exist"),
        ("score digits --score itn", "error: no score 'itn'; did you mean 'itm'?"),
        ("ablate folder:nosuch test_vit.untrained", "error: folder:nosuch: nosuch does not exist"),
        ("ablate digits test_vit.untrained --axis etaa", "error: no axis 'etaa'; did you mean 'eta'?"),
        ("evaluate --measured nosuch", "error: nosuch"),
        ("benchmark itm21 --data-root .", "error: no benchmark 'itm21'; did you mean 'itm20'?"),
        ("show nosuch", "error: there is no ranking 'nosuch'"),
        ("report nosuch", "error: there is no ranking 'nosuch'"),
        ("rankk digits", "No such command 'rankk'"),
    ],
)
def test_a_mistake_is_found_without_a_heavy_import(here, words, message):
    before = sorted(here.rglob("*"))
    command = [sys.executable, "-c", RUN, " ".join(HEAVY), *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == "imported:\n"
    assert sorted(here.rglob("*")) == before


def test_a_request_without_a_known_model_writes_nothing(here):
    before = sorted(here.rglob("*"))
    command = ["itm", "rank", "digits", "--runner", "inline", "-m", "test_resnett", "-m", "nosuch"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == [" test_resnett", " nosuch"]
    assert "did you mean 'test_resnet'" in done.stderr
    assert sorted(here.rglob("*")) == before
