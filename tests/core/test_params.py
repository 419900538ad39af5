"""params.yaml is read strictly: what is wrong is named with its place, its value and the nearest word."""

from pathlib import Path

import pytest
import yaml

from itm.core.errors import ParamsError
from itm.core.params import Params, find_params, with_overrides
from itm.core.yaml_records import parse, read_yaml
from itm.scores import make

ROOT = Path(__file__).resolve().parents[2]


def _message(values):
    with pytest.raises(ParamsError) as caught:
        parse(values, Params, "params.yaml")
    return str(caught.value)


def test_the_committed_parameters_are_read(monkeypatch):
    monkeypatch.chdir(ROOT)
    params = find_params(None)
    assert params == read_yaml(ROOT / "params.yaml", Params)
    assert params.data.sets
    assert params.zoo.file is not None
    assert params.zoo.file.is_file()
    for name in params.score.names:
        make(name, params.score.options.get(name))


def test_without_a_file_the_defaults_hold(tmp_path, monkeypatch):
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
        ({"store": "what?"}, "store: contains '?', which the address of a database cannot have; choose another folder"),
        ({"store": "a#b/c"}, "store: contains '#'"),
        ({"scores": {}}, "unknown key 'scores'; did you mean 'score' or 'store'? Known here: data, zoo"),
        ({"data": {"qqq": 1}}, "unknown key 'data.qqq'. Known here: sets"),
        ({"extract": {"precision": "fp64"}}, "extract.precision: must be 'auto', 'fp32' or 'bf16' (got 'fp64')."),
        ({"extract": {"batch_size": 0}}, "extract.batch_size: must be 1 or more, or 'auto' (got 0)."),
        ({"extract": {"decode_workers": -1}}, "extract.decode_workers: must be 0 or more, or 'auto' (got -1)."),
        (
            {"extract": {"resume": "sometimes"}},
            "extract.resume: must be 'always', 'only-missing' or 'only-cache'",
        ),
        ({"extract": {"resume": "never"}}, "extract.resume: 'never' no longer exists; use 'only-missing' (got 'never')."),
        ({"data": {"sets": "digits"}}, "data.sets: must be a list (got 'digits')."),
        ({"zoo": {"models": []}}, "zoo.models: must have at least 1 item"),
        ({"score": {"splits": []}}, "score.splits: must have at least 1 item"),
        ({"score": {"folds": 1}}, "score.folds: must be greater than or equal to 2 (got 1)."),
        ({"score": {"repeats": 0}}, "score.repeats: must be greater than or equal to 1 (got 0)."),
        (
            {"score": {"splitting": "random"}},
            "score.splitting: must be 'cross_validation' or 'holdout' (got 'random').",
        ),
        (
            {"score": {"splitting": "holdout"}},
            "'holdout' with repeats 1 has one fold and no interval; set repeats to 2 or more",
        ),
        ({"score": {"rank_by": "knn", "names": ["itm"]}}, "rank_by is 'knn', which is not among the scores computed: itm"),
        ({"data": {"splits": {"train": 0.6, "val": 0.2}}}, "these add up to 0.8"),
        ({"data": {"splits": {"train": 1.2, "val": -0.2}}}, "shares must not be negative"),
        ({"data": {"splits": {"train": float("nan"), "val": 1.0}}}, "these add up to nan"),
        ({"data": {"splits": {"train": 0.0, "test": 1.0}}}, "train needs a share above 0"),
        ({"data": {"splits": {"dev": 1.0}}}, "must be 'train', 'val' or 'test' (got 'dev')"),
        (["data"], "params.yaml: value: must be a mapping"),
    ],
)
def test_what_is_wrong_is_named(values, message):
    assert message in _message(values)


def test_holdout_needs_several_repeats():
    assert parse({"score": {"splitting": "holdout", "repeats": 2}}, Params, "params.yaml").score.repeats == 2
    assert Params().score.repeats == 1


@pytest.mark.parametrize(("old", "new"), [("cross_fitted", "cross_validation"), ("paper", "holdout")])
def test_old_names_are_read_and_logged(old, new, caplog):
    params = parse({"score": {"splitting": old, "seeds": 3}, "evaluate": {"draws": 200}}, Params, "params.yaml")
    assert (params.score.splitting, params.score.repeats, params.evaluate.resamples) == (new, 3, 200)
    assert f"splitting '{old}' is deprecated; it is called '{new}' now" in caplog.text
    assert "seeds is deprecated; it is called repeats now" in caplog.text
    assert "draws is deprecated; it is called resamples now" in caplog.text
    caplog.clear()
    assert with_overrides(params, score={"folds": 3}).score.repeats == 3
    assert not caplog.text


def test_keys_of_removed_features_are_ignored_and_logged(caplog):
    params = parse({"score": {"source": None, "untrained": "test_vit.untrained", "folds": 3}}, Params, "params.yaml")
    assert params.score.folds == 3
    for name in ("source", "untrained"):
        assert f"{name} is ignored: nothing uses it any more; remove it" in caplog.text


def test_every_mistake_is_a_line():
    lines = _message({"extract": {"batch_size": 0}, "runner": {"worker": 1}}).splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["params.yaml"] * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"data: [", "is not valid YAML"), (b"\xff\xfe\x00\x80", "is not a text file"), (b"data: {seed: 1}\n", "")],
)
def test_a_file_that_is_no_yaml_is_an_error(tmp_path, content, message):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    if message:
        with pytest.raises(ParamsError, match=message):
            read_yaml(path, Params)
    else:
        assert read_yaml(path, Params).data.seed == 1


def test_options_replace_single_values_and_are_checked():
    params = parse({"extract": {"batch_size": 8, "precision": "bf16"}}, Params, "params.yaml")
    changed = with_overrides(params, extract={"batch_size": 4, "precision": None})
    assert (changed.extract.batch_size, changed.extract.precision) == (4, "bf16")
    with pytest.raises(ParamsError, match=r"options: extract\.batch_size"):
        with_overrides(params, extract={"batch_size": 0})


def _documented():
    """Return the defaults that the reference page shows, by section and key."""
    found: dict[str, dict[str, object]] = {}
    for line in (ROOT / "docs" / "use" / "parameters.md").read_text().splitlines():
        if line.startswith("## "):
            section = found.setdefault(line.removeprefix("## "), {})
        elif line.startswith("| `"):
            key, default = (part.strip().strip("`") for part in line.split("|")[1:3])
            section[key] = yaml.safe_load(default)
    return found


def test_the_reference_page_lists_every_key_with_its_default():
    defaults = Params().model_dump(mode="json")
    sections = {name: value for name, value in defaults.items() if isinstance(value, dict)}
    top = {name: value for name, value in defaults.items() if name not in sections}
    assert _documented() == {"Top level": top, **sections}


@pytest.mark.parametrize(("text", "value"), [("off", "off"), ("auto", "auto"), ("20 GB", 20 * 10**9), ("512 MiB", 2**29)])
def test_space_for_decoded_images_is_a_word_or_a_size(tmp_path: Path, text: str, value: object) -> None:
    (tmp_path / "params.yaml").write_text(f"extract: {{decoded: {text}}}\n")
    assert find_params(tmp_path / "params.yaml").extract.decoded == value


@pytest.mark.parametrize("value", ["much", -3, True, [1]])
def test_space_that_is_no_size_is_refused(value: object) -> None:
    shown = repr(value) if isinstance(value, str) else value
    expected = f"params.yaml: extract.decoded: must be a size such as '20 GB', or 'auto' or 'off' (got {shown})."
    assert _message({"extract": {"decoded": value}}) == expected
