"""A ranking is printed as it is until something that it depends on looks changed, and then nothing heavy is imported."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image

from itm.core.params import Params
from itm.run import current
from itm.store.layout import Store

pytestmark = pytest.mark.slow

UNCHANGED = "nothing changed since this ranking was computed"
HEAVY = ("torch", "timm", "prefect", "mlflow", "sklearn", "scipy", "matplotlib", "dask", "pandas")
COMMAND = f"""
import sys
from itm.cli.commands import app
try:
    app(["rank", "sets", "--zoo", "zoo.yaml"])
except SystemExit as end:
    assert not end.code, end.code
print([name for name in {HEAVY} if name in sys.modules])
"""
FACTORY = """
def small():
    from torch import nn

    class Colour(nn.Linear):
        def forward_features(self, x):
            return x.mean((2, 3))

        def forward_head(self, x, pre_logits=False):
            return x if pre_logits else self(x)

    return Colour(3, 2)
"""

Rank = Callable[..., Result]


@pytest.fixture
def here(project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with a folder of twenty images, and a zoo of one checkpoint. Files that are new count as settled."""
    import torch
    from safetensors.torch import save_file

    here = project()
    for number in range(20):
        path = here / "sets" / ("dark", "light")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (number * 5 + 120 * (number % 2), number, 0)).save(path)
    (here / "code.py").write_text(FACTORY)
    save_file({"weight": torch.eye(2, 3), "bias": torch.zeros(2)}, here / "small.safetensors")
    (here / "zoo.yaml").write_text(
        "models:\n- {name: small, factory: 'code.py:small', checkpoint: small.safetensors, input_size: 32}\n"
    )
    monkeypatch.setattr(current, "SETTLED", -(10**18))
    return here


@pytest.fixture
def rank(here: Path, call: Rank) -> Rank:
    return lambda *words: call("rank", "sets", "--zoo", "zoo.yaml", "--code", str(here), *words)


def results(here: Path, name: str) -> Path:
    (found,) = here.glob(f"kept/rankings/sets-*/{name}")
    return found


def test_nothing_is_looked_at_again_until_something_changes(here: Path, rank: Rank) -> None:
    first = rank()
    assert UNCHANGED not in first.stderr
    again = rank()
    assert UNCHANGED in again.stderr
    assert again.stdout == first.stdout
    image = here / "sets" / "dark" / "0.png"

    def exchange() -> None:
        before = image.stat()
        content = bytearray(image.read_bytes())
        content[-1] ^= 1  # after the pixels: the image stays readable
        image.write_bytes(content)
        os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))

    changes: dict[str, Callable[[], object]] = {
        "new image": lambda: Image.new("RGB", (32, 32), (7, 7, 7)).save(here / "sets" / "dark" / "new.png"),
        "image gone": (here / "sets" / "dark" / "new.png").unlink,
        "bytes of an image with its size and times": exchange,
        "name of a class": lambda: (here / "sets" / "dark").rename(here / "sets" / "darker"),
        "weights": lambda: shutil.copy(here / "small.safetensors", here / "copy"),
        "zoo file": lambda: (here / "zoo.yaml").write_text((here / "zoo.yaml").read_text() + "\n"),
        "code of a factory": lambda: (here / "code.py").write_text(FACTORY + "\n"),
        "ranking gone": lambda: results(here, "scores/ranking.json").unlink(),
        "page gone": lambda: results(here, "reports/index.html").unlink(),
        "table damaged": lambda: results(here, "scores/scores.parquet").write_bytes(b"PAR1"),
        "record damaged": lambda: results(here, "rank.current.json").write_bytes(b"{}"),
    }
    for name, change in changes.items():
        change()
        if name == "weights":
            (here / "copy").replace(here / "small.safetensors")
        assert UNCHANGED not in rank().stderr, name
        assert UNCHANGED in rank().stderr, name


@pytest.mark.parametrize("words", [("--resume", "always"), ("--log",), ("--score", "lda"), ("--max-images", "16")])
def test_other_requests_are_computed(rank: Rank, words: tuple[str, ...]) -> None:
    rank()
    assert UNCHANGED not in rank(*words).stderr


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("(here / 'sets' / 'dark' / '0.png').unlink(missing_ok=True)", id="image deleted"),
        pytest.param(
            "(here / 'sets' / 'dark').rename(here / 'dark'); (here / 'dark').rename(here / 'sets' / 'black')", id="class"
        ),
        pytest.param("(here / 'zoo.yaml').touch()", id="zoo file"),
        pytest.param("(here / 'small.safetensors').touch()", id="weights"),
    ],
)
def test_what_changes_during_a_run_is_not_taken_for_what_was_ranked(
    here: Path, rank: Rank, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(current, "SETTLED", 0)
    time.sleep(0.05)  # the clock of file systems is coarse
    code = f"from pathlib import Path\nhere = Path({str(here)!r})\nif (here / 'now').exists():\n    {change}\n"
    (here / "code.py").write_text(code + FACTORY)
    (here / "now").touch()
    assert UNCHANGED not in rank("--allow-failures").stderr
    (here / "now").unlink()
    assert UNCHANGED not in rank("--allow-failures").stderr


def test_a_ranking_with_a_failure_is_tried_again(here: Path, rank: Rank) -> None:
    text = (here / "zoo.yaml").read_text()
    (here / "zoo.yaml").write_text(text + "- {name: gone, architecture: test_resnet, checkpoint: gone.safetensors}\n")
    for _ in range(2):
        assert UNCHANGED not in rank("--allow-failures").stderr


def test_a_ranking_of_a_data_set_of_the_hub_is_never_known_to_be_current(here: Path) -> None:
    states = {
        source: current.Inputs(Params.model_validate({"data": {"sets": [source]}}), Store(here / "kept")).states
        for source in ("folder:sets", "hf:owner/blossoms")
    }
    assert states["folder:sets"]
    assert states["hf:owner/blossoms"] is None


def test_a_file_that_changed_just_before_is_looked_at_again(rank: Rank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "SETTLED", 3600 * 10**9)
    for _ in range(2):
        assert UNCHANGED not in rank().stderr


def test_nothing_heavy_is_imported_for_a_current_ranking(here: Path, rank: Rank) -> None:
    rank()
    command = [sys.executable, "-c", COMMAND.replace('"zoo.yaml"]', f'"zoo.yaml", "--code", {str(here)!r}]')]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=120)
    assert UNCHANGED in done.stderr, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
