"""params.yaml is read strictly: what is wrong is named with its place, its value and the nearest word."""

from pathlib import Path

import pytest

from itm.core.errors import ParamsError
from itm.core.params import Params, find_params, with_overrides
from itm.core.yaml_records import parse, read_yaml
from itm.scores import check_options

ROOT = Path(__file__).resolve().parents[1]


def _message(values):
    with pytest.raises(ParamsError) as caught:
        parse(values, Params, "params.yaml")
    return str(caught.value)


def test_the_committed_parameters_are_read(monkeypatch):
    """The file that `make rank` uses is valid, its scores and options exist, and its zoo file is there."""
    monkeypatch.chdir(ROOT)
    params = find_params(None)
    assert params == read_yaml(ROOT / "params.yaml", Params)
    assert params.data.sets
    assert params.zoo.file is not None
    assert params.zoo.file.is_file()
    for name in params.score.names:
        check_options(name, params.score.options.get(name))


def test_without_a_file_the_defaults_hold(tmp_path, monkeypatch):
    """Whoever has no params.yaml gets the defaults; a file that was named must be there."""
    monkeypatch.chdir(tmp_path)
    assert find_params(None) == Params()
    with pytest.raises(ParamsError, match=r"mine\.yaml: cannot be read \(No such file"):
        find_params(Path("mine.yaml"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"extract": {"batchsize": 8}},
            "params.yaml: unknown key 'extract.batchsize'; did you mean 'batch_size'? Known here: batch_s",
        ),
        ({"score": {"name": ["itm"]}}, "unknown key 'score.name'; did you mean 'names'? Known here: names, rank_by"),
        ({"scores": {}}, "unknown key 'scores'; did you mean 'score' or 'store'? Known here: data, zoo"),
        ({"data": {"qqq": 1}}, "unknown key 'data.qqq'. Known here: sets"),
        ({"extract": {"precision": "fp64"}}, "extract.precision: Input should be 'fp32' or 'bf16' (got 'fp64')."),
        ({"extract": {"batch_size": 0}}, "extract.batch_size: must be 1 or more, or 'auto' (got 0)."),
        ({"extract": {"decode_workers": -1}}, "extract.decode_workers: must be 0 or more, or 'auto' (got -1)."),
        (
            {"extract": {"resume": "sometimes"}},
            "extract.resume: Input should be 'always', 'never', 'only-missing' or 'only-cache'",
        ),
        ({"data": {"sets": "digits"}}, "data.sets: Input should be a valid tuple (got 'digits')."),
        ({"zoo": {"models": []}}, "zoo.models: Tuple should have at least 1 item"),
        ({"score": {"splits": []}}, "score.splits: Tuple should have at least 1 item"),
        ({"score": {"folds": 1}}, "score.folds: Input should be greater than or equal to 2 (got 1)."),
        ({"score": {"seeds": 0}}, "score.seeds: Input should be greater than or equal to 1 (got 0)."),
        ({"score": {"splitting": "random"}}, "score.splitting: Input should be 'cross_fitted' or 'paper' (got 'random')."),
        (
            {"score": {"splitting": "paper"}},
            "'paper' with seeds 1 is a single draw and has no interval; set seeds to 2 or more",
        ),
        ({"score": {"rank_by": "knn", "names": ["itm"]}}, "rank_by is 'knn', which is not among the scores computed: itm"),
        ({"data": {"splits": {"train": 0.6, "val": 0.2}}}, "these add up to 0.8"),
        ({"data": {"splits": {"train": 1.2, "val": -0.2}}}, "shares must not be negative"),
        ({"data": {"splits": {"train": float("nan"), "val": 1.0}}}, "these add up to nan"),
        ({"data": {"splits": {"train": 0.0, "test": 1.0}}}, "train needs a share above 0"),
        ({"data": {"splits": {"dev": 1.0}}}, "Input should be 'train', 'val' or 'test' (got 'dev')"),
        (["data"], "params.yaml: value: Input should be a valid dictionary"),
    ],
)
def test_what_is_wrong_is_named(values, message):
    """An unknown key names the nearest known one, a wrong value its place and itself."""
    assert message in _message(values)


def test_the_splits_of_the_paper_need_several_seeds():
    """Two seeds are enough of them, and cross-fitting makes several draws of one."""
    assert parse({"score": {"splitting": "paper", "seeds": 2}}, Params, "params.yaml").score.seeds == 2
    assert Params().score.seeds == 1


def test_every_mistake_is_a_line():
    """Two mistakes are two lines, so that both can be mended at once."""
    lines = _message({"extract": {"batch_size": 0}, "runner": {"worker": 1}}).splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["params.yaml"] * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"data: [", "is not valid YAML"), (b"\xff\xfe\x00\x80", "is not a text file"), (b"data: {seed: 1}\n", "")],
)
def test_a_file_that_is_no_yaml_is_an_error(tmp_path, content, message):
    """Broken YAML and binary files are errors of their own, and a good file is read."""
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    if message:
        with pytest.raises(ParamsError, match=message):
            read_yaml(path, Params)
    else:
        assert read_yaml(path, Params).data.seed == 1


def test_options_replace_single_values_and_are_checked():
    """An option that is not given changes nothing, one that is given is checked like the file."""
    params = parse({"extract": {"batch_size": 8, "precision": "bf16"}}, Params, "params.yaml")
    changed = with_overrides(params, extract={"batch_size": 4, "precision": None})
    assert (changed.extract.batch_size, changed.extract.precision) == (4, "bf16")
    with pytest.raises(ParamsError, match=r"options: extract\.batch_size"):
        with_overrides(params, extract={"batch_size": 0})
