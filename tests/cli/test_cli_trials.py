"""Trials: their folders, the recommended model that they leave alone, and the list of rankings."""

from collections.abc import Callable
from pathlib import Path

import pytest

from itm.cli.options import read_params
from itm.ranking.recommend import read_recommended
from itm.store.files import write_json
from itm.store.layout import Store

pytestmark = pytest.mark.slow

SHORT, LONG = "test_resnet.drawn_short", "test_resnet.drawn_long"
SOURCE = "synthetic:shapes?images=60"
NAME = "shapes-images60"

pytestmark = pytest.mark.usefixtures("own_logger")


@pytest.fixture
def here(project: Callable[..., Path], zoo_file: Path) -> Path:
    """Stand in a folder with a small ranking."""
    return project(data={"sets": [SOURCE], "max_images": 60}, zoo={"file": str(zoo_file), "models": [SHORT]})


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "trial",
    [
        {"sources": ["digits"]},
        {"zoo": Path("mine.yaml")},
        {"models": ["test_*"]},
        {"data": {"max_images": 50}},
        {"extract": {"precision": "bf16"}},
        {"score": {"names": ("logme",), "rank_by": "logme"}},
    ],
    ids=lambda trial: next(iter(trial)),
)
def test_whatever_changes_the_ranking_is_a_trial_with_its_own_folder(trial) -> None:
    chosen, store = read_params(trial.pop("sources", None), None, **trial)
    assert not chosen.track.recommend
    assert store.ranking_name is not None


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "options",
    [
        {"extract": {"device": "cpu", "batch_size": 4}},
        {"runner": {"kind": "threads", "workers": 1}},
        {"data": {"max_images": 60}},
        {"params": Path("params.yaml").absolute()},
    ],
    ids=lambda options: next(iter(options)),
)
def test_where_and_how_fast_it_is_computed_makes_no_trial(options, here) -> None:
    file = here / "params.yaml" if "params" in options else None
    chosen, store = read_params([SOURCE], file, **{name: one for name, one in options.items() if name != "params"})
    assert chosen.track.recommend
    assert store.ranking_name is None


def test_another_parameter_file_is_a_trial(here) -> None:
    (here / "other.yaml").write_text((here / "params.yaml").read_text())
    chosen, _ = read_params(None, here / "other.yaml")
    assert not chosen.track.recommend


def test_folders_are_named_by_their_data_in_letters_that_a_shell_takes(here) -> None:
    def name(*sources: str) -> str:
        base, _, key = str(read_params(list(sources), None)[1].ranking_name).rpartition("-")
        assert len(key) == 6
        return base

    for folder in ("my pets", "数据", "x" * 90):
        (here / folder).mkdir()
    assert name("digits") == "digits"
    assert name("my=digits", "other=digits") == "my-other"
    assert name("folder:my pets") == "my-pets"
    assert name("folder:数据") == "data"
    assert name("a=digits", "b=digits", "c=digits", "d=digits") == "a-b-and-2-more"
    assert len(name(f"folder:{'x' * 90}")) == 40
    assert name("a+b=digits") == "a-b"
    assert read_params(["digits"], None)[1] == read_params(["digits"], None)[1]
    assert read_params(["digits"], None, data={"max_images": 9})[1] != read_params(["digits"], None)[1]


def test_a_trial_leaves_the_recommended_model_and_says_so(call, here) -> None:
    store = Store(here / "kept")
    call("rank")
    assert read_recommended(store) == {NAME: SHORT}
    for words in (("-m", LONG), ("--max-images", "50"), ("--params", "other.yaml")):
        (here / "other.yaml").write_text((here / "params.yaml").read_text().replace(SHORT, LONG))
        assert "leaves the recommended models as they are" in call("rank", *words).stderr
        assert read_recommended(store) == {NAME: SHORT}
    assert "recommended" not in call("rank").stderr


def test_rankings_are_listed_and_deleted(call, here) -> None:
    assert "There is no ranking yet" in call("rankings").stdout
    call("rank")
    call("rank", f"mine={SOURCE}")
    trials = here / "kept" / "rankings"
    (mine,) = (path.name for path in trials.iterdir())
    (trials / "half").mkdir()
    (trials / "damaged" / "scores").mkdir(parents=True)
    write_json(trials / "damaged" / "scores" / "ranking.json", {"version": 0})
    listed = call("rankings").stdout
    first_words = [line.split()[0] for line in listed.splitlines() if line.strip()]
    assert first_words[2:] == ["(params.yaml)", "damaged", mine, "half"]
    assert all(word in listed for word in (SHORT, "1 of 1", "cannot be read; rank again or delete it", "no ranking; repeat"))
    assert call("rankings", "mine").stdout.count(SHORT) == 1
    assert "half holds no ranking; repeat the command that made it" in call("show", "half", status=2).stderr
    assert "half" not in call("show", "yours", status=2).stderr
    assert "--delete needs names" in call("rankings", "--delete", status=2).stderr
    done = call("rankings", "--delete", "nowhere", "half", "mine", status=2)
    assert done.stdout.splitlines() == ["deleted: half", f"deleted: {mine}"]
    assert "there is no ranking 'nowhere'" in done.stderr
    assert [path.name for path in trials.iterdir()] == ["damaged"]
    assert (here / "kept" / "scores" / "ranking.json").exists()
    for dangerous in ("..", ".", "", "../rankings"):
        call("rankings", "--delete", dangerous, status=2)
    assert (trials / "damaged").is_dir()
