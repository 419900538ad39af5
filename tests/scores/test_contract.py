"""The contract of every score: values per fold, details, metric, options, and the facts that it needs."""

import logging

import numpy as np
import pytest

from itm.core.errors import ParamsError, ScoreError
from itm.kinds import KINDS
from itm.scores import ModelInfo, ProbeScore, Splitting, evaluate, expand, get, make, names, register, weights_of
from itm.scores.library.logme import Logme
from tests.scores.samples import blobs, scored

pytestmark = pytest.mark.slow

SINGLE = [name for name in names() if get(name).sampling != "pooled"]
HELD_OUT = [name for name in names() if get(name).sampling == "held_out"]
COMBINED = [name for name in names() if weights_of(name)]


@pytest.fixture(params=SINGLE)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of each score that is computed for one model by itself."""
    return str(request.param)


def test_there_is_one_value_per_fold(name: str) -> None:
    features, labels = blobs()
    for splitting in (Splitting(folds=3, repeats=2), Splitting("holdout", repeats=4)):
        result = scored(name, features, labels, splitting=splitting)
        assert len(result.fold_values) == splitting.count
        if name in HELD_OUT:
            assert result.value == pytest.approx(np.mean(result.fold_values))


@pytest.mark.parametrize("name", HELD_OUT)
def test_the_baseline_predicts_the_most_frequent_class(name: str) -> None:
    features, _ = blobs(n=100)
    assert evaluate(name, features, np.repeat([0, 1, 2], [70, 20, 10])).details["baseline"] == pytest.approx(0.7)


@pytest.mark.parametrize("splitting", [Splitting(), Splitting(folds=3, repeats=2), Splitting("holdout", repeats=4)])
@pytest.mark.parametrize(("classes", "each"), [(2, 5), (10, 6), (60, 3)])
def test_the_baseline_of_equal_classes_is_chance(classes: int, each: int, splitting: Splitting) -> None:
    labels = np.repeat(np.arange(classes), each)
    features = np.eye(classes)[labels] + np.random.default_rng(0).normal(size=(len(labels), classes))
    found = evaluate("nearest_class_mean", features, labels, splitting=splitting)
    spread = 1 / len(labels) if splitting.kind == "holdout" else 1e-9  # a random part has not exactly equal shares
    assert found.details["baseline"] == pytest.approx(1 / classes, abs=spread * 5)


@pytest.mark.parametrize(("name", "options"), [("knn", {"neighbours": 1000}), ("linear_probe", {})])
def test_balanced_accuracy_gives_a_guess_no_credit(name: str, options: dict[str, object]) -> None:
    labels = np.repeat(np.arange(4), [70, 10, 10, 10])
    result = evaluate(name, np.ones((100, 3)), labels, options=options)
    assert result.value == result.details["accuracy"] == result.details["baseline"] == pytest.approx(0.7)
    assert result.details["balanced_accuracy"] == pytest.approx(0.25)
    balanced = evaluate(name, np.ones((100, 3)), labels, options=options | {"metric": "balanced_accuracy"})
    assert balanced.fold_values == pytest.approx([0.25] * 5)
    assert balanced.details["baseline"] == pytest.approx(0.7)  # always by the main metric


@pytest.mark.parametrize("name", HELD_OUT)
def test_the_metric_chooses_the_detail_that_is_the_value(name: str) -> None:
    features, _ = blobs(n=100)
    labels = np.repeat([0, 1, 2], [70, 20, 10])
    plain, balanced = (
        evaluate(name, features + np.eye(3, 12)[labels], labels, options={"metric": metric})
        for metric in ("accuracy", "balanced_accuracy")
    )
    for result, metric in ((plain, "accuracy"), (balanced, "balanced_accuracy")):
        assert result.value == result.details[metric] == pytest.approx(np.mean(result.fold_values))
        assert result.metric == metric
    assert evaluate(name, features + np.eye(3, 12)[labels], labels) == plain
    assert plain.value != balanced.value


def test_details_depend_on_the_class_of_score(name: str) -> None:
    score, result = get(name), scored(name, *blobs())
    expected = {"accuracy", "balanced_accuracy", "baseline"} if name in HELD_OUT else set()
    expected |= {"control"} if issubclass(score, ProbeScore) and score.control else set()
    assert set(result.details) == expected
    assert result.metric == ("accuracy" if name in HELD_OUT else None)


def test_the_control_of_itm_is_itm_without_movement() -> None:
    features, labels = blobs(gap=0.7)
    splitting = Splitting(repeats=2)
    control = evaluate("itm", features, labels, splitting=splitting).details["control"]
    assert control == evaluate("itm_eta0", features, labels, splitting=splitting).value


@pytest.mark.parametrize("name", [name for name in names() if get(name).info.needs])
def test_a_fact_that_is_needed_and_unknown_is_named(name: str) -> None:
    with pytest.raises(ScoreError, match=f"{name} needs .*, which is not known; "):
        evaluate(name, *blobs())


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (ModelInfo(logits=np.ones((9, 4))), "logits have shape \\(9, 4\\); 120 along the first of 2 axes"),
        (ModelInfo(logits=np.full((120, 4), np.nan)), "logits hold values that are not finite"),
    ],
)
def test_logits_that_do_not_fit_are_named(model: ModelInfo, said: str) -> None:
    with pytest.raises(ScoreError, match=said):
        evaluate("logme", *blobs(), model=model)


def test_wildcards_and_combined_scores_are_expanded() -> None:
    assert expand(["itm*", "knn", "itm"]) == ("itm", "itm_eta0", "knn")
    assert set(expand(["*"])) == set(names())
    for name in names():
        assert expand([name]) == (*weights_of(name), name)


@pytest.mark.parametrize("name", COMBINED)
def test_a_combined_score_of_one_model_is_an_error(name: str) -> None:
    with pytest.raises(ParamsError, match=f"{name!r} is made of several models' values; rank them, or ask for"):
        evaluate(name, *blobs())


def test_ids_must_be_unique() -> None:
    features, labels = blobs(n=10)
    with pytest.raises(ScoreError, match="9 of them different"):
        evaluate("knn", features, labels, ids=[*"abcdefghi", "a"])


def test_unknown_scores_and_options_name_the_nearest() -> None:
    with pytest.raises(ParamsError, match="did you mean 'logme'"):
        get("logmee")
    with pytest.raises(ParamsError, match="score 'itm' options: unknown key 'recursion'; did you mean 'recursions'"):
        make("itm", {"recursion": 3})
    with pytest.raises(ParamsError, match=r"score 'lda' options: unknown key 'shrinkage'\. Known here: none"):
        make("lda", {"shrinkage": 0.1})


def test_several_wrong_options_are_one_line_each() -> None:
    with pytest.raises(ParamsError) as caught:
        make("knn", {"neighbours": 0, "temperature": -1.0, "metrik": "accuracy"})
    assert len(str(caught.value).splitlines()) == 3


def test_every_score_describes_itself(name: str) -> None:
    score = get(name)
    assert score.info.summary.endswith(".")
    assert score.info.cost
    assert len(score.info.meaning) > 40
    assert score.value_range(KINDS["classification"])
    assert score.info.version >= 1
    assert bool(score.requirements()) == (score.sampling != "constant" or bool(score.info.needs))


def test_requirements_are_in_words() -> None:
    assert get("knn").requirements() == "embeddings"
    assert get("leep").requirements() == "embeddings and the outputs of the model's own classifier"
    assert get("gmacs").requirements() == "the multiply-adds of one forward pass"
    assert get("etran").requirements() == "the values of energy and lda of all models"


@pytest.mark.parametrize("value", ["many", True, None, 1.5])
def test_options_of_the_wrong_type_are_errors(value: object) -> None:
    with pytest.raises(ParamsError, match="score 'knn' options: neighbours: must be a whole number"):
        make("knn", {"neighbours": value})


def test_old_names_of_options_work_and_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert make("itm", {"judge_every": 50}).options == make("itm", {"evaluate_every": 50}).options
    assert "judge_every is deprecated; it is called evaluate_every now" in caplog.text


def test_two_scores_cannot_have_one_name() -> None:
    class Other(Logme):
        """A score with the name of another."""

    with pytest.raises(ValueError, match="two scores are named 'logme'"):
        register(Other)
    assert get("logme") is Logme
