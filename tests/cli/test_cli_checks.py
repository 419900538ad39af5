"""A request that cannot run ends before anything heavy is imported, and writes nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = ("torch", "timm", "prefect", "mlflow", "sklearn", "matplotlib")
# Every request runs in a fork of one process: importing the command line takes two seconds.
RUN = """
import json, os, sys
from pathlib import Path
import itm.run.check
from itm.cli.commands import app
found, folder = {}, Path.cwd()
for words in json.loads(sys.argv[1]):
    before, paths = sorted(folder.rglob("*")), [Path(sys.argv[2], name) for name in ("out", "err")]
    if not (child := os.fork()):
        for number, path in enumerate(paths, start=1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        status = 0
        try:
            app(words.split())
        except SystemExit as end:
            status = end.code
        print("imported:", *(name for name in sys.argv[3:] if name in sys.modules), flush=True)
        sys.stderr.flush()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found[words] = [status, *(path.read_text() for path in paths), sorted(folder.rglob("*")) == before]
print(json.dumps(found))
"""
MISTAKES = [
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
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with files that are no images, parameters or stores."""
    here = tmp_path_factory.mktemp("here")
    (here / "pets" / "cat").mkdir(parents=True)
    (here / "file").write_text("")
    (here / "broken.yaml").write_text("runner: {kind: inlin}\n")
    (here / "store.yaml").write_text("store: file\n")
    return here


@pytest.fixture(scope="module")
def answers(here: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return status, output, errors and whether nothing was written, for every request."""
    requests = json.dumps([words for words, _ in MISTAKES])
    command = [sys.executable, "-c", RUN, requests, str(tmp_path_factory.mktemp("output")), *HEAVY]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.integration
@pytest.mark.parametrize(("words", "message"), MISTAKES)
def test_a_mistake_is_found_without_a_heavy_import(answers, words, message):
    status, output, errors, is_untouched = answers[words]
    assert status == 2, output + errors
    assert message in errors
    assert "Traceback" not in errors
    assert output == "imported:\n"
    assert is_untouched


def test_a_request_without_a_known_model_writes_nothing(here):
    before = sorted(here.rglob("*"))
    command = ["itm", "rank", "digits", "--runner", "inline", "-m", "test_resnett", "-m", "nosuch"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == [" test_resnett", " nosuch"]
    assert "did you mean 'test_resnet'" in done.stderr
    assert sorted(here.rglob("*")) == before
