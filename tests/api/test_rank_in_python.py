"""`itm.rank`: the answer of the command in Python, from the same store."""

import logging
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import itm
from itm.core.errors import DataError, ModelError, ParamsError
from itm.store.files import write_json
from itm.store.layout import Store

pytestmark = pytest.mark.slow

SHORT, LONG = "test_resnet.drawn_short", "test_resnet.drawn_long"
SOURCE = "synthetic:shapes?images=60"


@pytest.fixture
def here(project: Callable[..., Path], zoo_file: Path) -> Path:
    """Stand in a folder with a parameter file."""
    return project(zoo={"file": str(zoo_file)})


@pytest.mark.usefixtures("here")
def test_function_and_command_share_their_results(call: Callable[..., Result], caplog) -> None:
    caplog.set_level("INFO", logger="itm")
    ranking = itm.rank(SOURCE, models=[SHORT, LONG])
    assert {row.model for row in ranking.rows} == {SHORT, LONG}
    assert ranking.page is not None
    assert ranking.page.is_file()
    printed = call("rank", SOURCE, "--model", SHORT, "--model", LONG)
    assert ranking.best.model in printed.stdout
    assert str(ranking.page) in printed.stdout
    loaded = ranking.load(LONG)
    assert isinstance(loaded, itm.LoadedModel)
    assert loaded.name == LONG
    assert itm.load_recommended(ranking.data.data, "kept").name == ranking.best.model
    caplog.clear()
    assert itm.rank(SOURCE, models=[SHORT, LONG]) == ranking
    assert "computed" not in caplog.text.replace("0 scores", "")


def test_the_store_can_be_anywhere_and_recommendations_stay(here, tmp_path) -> None:
    store = Store(tmp_path / "elsewhere")
    write_json(store.recommended, {"shapes-images60": "other"})
    itm.rank(SOURCE, models=SHORT, store=store.root)
    assert store.recommended.read_text().count("other") == 1
    assert not (here / "kept").exists()


@pytest.mark.usefixtures("here")
def test_a_filter_leaves_models_out() -> None:
    ranking = itm.rank(SOURCE, models=[SHORT, "test_efficientnet*"], filters={"max_params": "110k"})
    assert [row.model for row in ranking.rows] == ["test_efficientnet.textures"]
    (excluded,) = ranking.ranking.excluded
    assert excluded.model == SHORT


@pytest.mark.usefixtures("here")
def test_a_model_that_fails_is_a_row_and_the_others_are_ranked() -> None:
    ranking = itm.rank(SOURCE, models=[SHORT, "mini_resnet19*"])
    assert ranking.best.model == SHORT
    (failure,) = ranking.failures
    assert failure.model == "mini_resnet19*"
    with pytest.raises(ModelError, match=r"mini_resnet19\*"):
        itm.rank(SOURCE, models="mini_resnet19*")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data": Path("gone")}, DataError, "gone does not exist; check the path"),
        ({"data": "folder:gone"}, DataError, "gone does not exist; check the path"),
        ({"data": ["digits"]}, ParamsError, "data is of type list"),
        ({"data": "embeddings:own"}, ParamsError, "every file of embeddings is ranked, so no zoo, model or variant"),
        ({"data": "digitz"}, DataError, "did you mean 'digits'"),
        ({"scores": "knm"}, ParamsError, "did you mean 'knn'"),
        ({"by": "itm"}, ParamsError, "rank_by is 'itm', which is not among the scores"),
        ({"max_images": -1}, ParamsError, "max_images"),
        ({"zoo": "tinny"}, ParamsError, "did you mean 'tiny'"),
        ({"zoo": "timm:resnet*", "models": "vit*"}, ParamsError, "names models, and so does models"),
        ({"variants": "blck8"}, ParamsError, "blck8"),
        ({"params": "gone.yaml"}, ParamsError, "gone.yaml"),
    ],
)
def test_a_wrong_argument_is_named(arguments, error, message) -> None:
    with pytest.raises(error) as raised:
        itm.rank(**({"data": SOURCE, "models": SHORT} | arguments))
    assert message in str(raised.value)
    assert not Path("kept").exists()


@pytest.mark.usefixtures("here")
def test_it_runs_in_a_thread_without_signals_or_output(capfd) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    found: list[itm.ModelRanking] = []
    thread = threading.Thread(target=lambda: found.append(itm.rank(SOURCE, models=SHORT)))
    thread.start()
    thread.join()
    assert found[0].best.model == SHORT
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert capfd.readouterr() == ("", "")


class _InterruptAfterFirst(logging.Handler):
    """Sends Ctrl-C when the first model is extracted."""

    def emit(self, record: logging.LogRecord) -> None:
        if "images/s" in record.getMessage() and SHORT in record.getMessage():
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("here", "own_logger")
def test_an_interruption_is_a_keyboard_interrupt_and_keeps_what_is_finished(caplog) -> None:
    caplog.set_level("INFO", logger="itm")
    handler = _InterruptAfterFirst()
    logging.getLogger("itm").addHandler(handler)
    with pytest.raises(KeyboardInterrupt):
        itm.rank(SOURCE, models=[SHORT, LONG])
    logging.getLogger("itm").removeHandler(handler)
    caplog.clear()
    assert len(itm.rank(SOURCE, models=[SHORT, LONG])) == 2
    assert "(1 cached)" in caplog.text
