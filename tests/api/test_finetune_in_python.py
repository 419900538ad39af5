"""`itm.finetune`, and the examples of the documentation, which use it."""

from collections.abc import Callable
from pathlib import Path

import pytest

import itm
from itm.core.errors import DataError, ModelError, ParamsError
from itm.data.sources.parse import parse_source
from itm.store.layout import Store
from tests.api.examples import examples

pytestmark = pytest.mark.slow

SHORT = "test_resnet.drawn_short"
SOURCE = "synthetic:shapes?images=100"


@pytest.fixture
def here(project: Callable[..., Path], zoo_file: Path) -> Path:
    """Stand in a folder with a parameter file."""
    return project(zoo={"file": str(zoo_file)})


@pytest.mark.usefixtures("here")
def test_accuracies_have_intervals_and_a_failed_model_does_not_stop_the_others() -> None:
    tuned = itm.finetune(SOURCE, models=[SHORT, "mini_resnet19*"], protocols="head", seeds=1)
    (row,) = tuned
    assert (row.model, row.protocol, row.seeds) == (SHORT, "head", 1)
    assert 0 <= row.test.low <= row.test.value <= row.test.high <= 1
    assert tuned.best is row
    (failure,) = tuned.failures
    assert failure.model == "mini_resnet19*"
    table = tuned.to_polars()
    assert table["model"].to_list() == [SHORT, "mini_resnet19*"]
    assert table["reason"].to_list() == [None, failure.reason]
    assert itm.finetune(SOURCE, models=[SHORT, "mini_resnet19*"], protocols="head", seeds=1) == tuned


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data": "folder:gone"}, DataError, "gone does not exist; check the path"),
        ({"protocols": "heads"}, ParamsError, "protocol"),
        ({"steps": 0}, ParamsError, "steps"),
        ({"models": "mini_resnet19*"}, ModelError, "mini_resnet19"),
        ({"data": "embeddings:own", "models": None}, DataError, "embeddings cannot be fine-tuned; name the images"),
    ],
)
def test_a_wrong_argument_is_named(arguments, error, message) -> None:
    Path("own").mkdir()
    with pytest.raises(error) as raised:
        itm.finetune(**({"data": SOURCE, "models": SHORT} | arguments))
    assert message in str(raised.value)


@pytest.mark.parametrize("page", ["README.md", "docs/use/python.md"])
def test_the_examples_of_the_documentation_run(page, tmp_path, monkeypatch, capsys) -> None:
    drawn = Store(tmp_path / "drawn")
    listing = parse_source(SOURCE).source.list(drawn)
    monkeypatch.chdir(tmp_path)
    Path(listing.rows[0].path).parents[1].rename("pictures")
    blocks = [block.replace("mini_*", "mini_res*") for block in examples(page)]  # all of the zoo take minutes
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert "For pictures, " in capsys.readouterr().out
    assert Path("ranking.png").stat().st_size > 10_000
