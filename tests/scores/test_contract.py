"""The contract of every score: draws, details, options, and what it needs of a model beside embeddings."""

import numpy as np
import pytest

from itm.core.errors import ParamsError, ScoreError
from itm.scores import Source, Splitting, check_options, computed, evaluate, get, names
from tests.scores.samples import blobs, scored

SINGLE = [name for name in names() if get(name).sampling != "pooled"]
HELD_OUT = [name for name in names() if get(name).sampling == "held_out"]


@pytest.fixture(params=SINGLE)
def name(request: pytest.FixtureRequest) -> str:
    """Return in turn the name of each score that is computed of one model by itself."""
    return str(request.param)


def test_the_splitting_says_how_many_draws_there_are(name: str) -> None:
    """A draw a split, and a held-out score is their mean."""
    features, labels = blobs()
    for splitting in (Splitting(folds=3, seeds=2), Splitting("paper", seeds=4)):
        result = scored(name, features, labels, splitting=splitting)
        assert len(result.draws) == splitting.draws
        if name in HELD_OUT:
            assert result.value == pytest.approx(np.mean(result.draws))


@pytest.mark.parametrize("name", HELD_OUT)
def test_details_say_what_a_guess_would_reach(name: str) -> None:
    """Naming the class of 70 in 100 rows is right for 70 % of them."""
    features, _ = blobs(n=100)
    assert evaluate(name, features, np.repeat([0, 1, 2], [70, 20, 10])).details["majority_rate"] == pytest.approx(0.7)


@pytest.mark.parametrize(("name", "options"), [("knn", {"neighbours": 1000}), ("linear_probe", {})])
def test_balanced_accuracy_gives_a_guess_no_credit(name: str, options: dict[str, object]) -> None:
    """Features that say nothing make a score name the commonest of four classes: 70 % right, and a quarter when balanced."""
    labels = np.repeat(np.arange(4), [70, 10, 10, 10])
    result = evaluate(name, np.ones((100, 3)), labels, options=options)
    assert result.value == result.details["accuracy"] == result.details["majority_rate"] == pytest.approx(0.7)
    assert result.details["balanced_accuracy"] == pytest.approx(0.25)
    balanced = evaluate(name, np.ones((100, 3)), labels, options=options | {"metric": "balanced_accuracy"})
    assert balanced.draws == pytest.approx([0.25] * 5)


@pytest.mark.parametrize("name", HELD_OUT)
def test_the_metric_chooses_which_accuracy_is_the_value(name: str) -> None:
    """Both accuracies are details, they differ where classes do in size, and the option makes one of them the score."""
    features, _ = blobs(n=100)
    labels = np.repeat([0, 1, 2], [70, 20, 10])
    plain, balanced = (
        evaluate(name, features + np.eye(3, 12)[labels], labels, options={"metric": metric})
        for metric in ("accuracy", "balanced_accuracy")
    )
    for result, metric in ((plain, "accuracy"), (balanced, "balanced_accuracy")):
        assert result.value == result.details[metric] == pytest.approx(np.mean(result.draws))
    assert evaluate(name, features + np.eye(3, 12)[labels], labels) == plain
    assert plain.value != balanced.value


def test_details_are_those_of_the_kind_of_score(name: str) -> None:
    """A held-out score has its accuracies, one with a control that too, and a score of all rows has none."""
    expected = {"accuracy", "balanced_accuracy", "majority_rate"} if name in HELD_OUT else set()
    expected |= {"control"} if get(name).control else set()
    assert set(scored(name, *blobs()).details) == expected


def test_the_control_of_itm_is_itm_without_movement() -> None:
    """What `itm` tells beside its value is what `itm_eta0` scores on the same splits."""
    features, labels = blobs(gap=0.7)
    splitting = Splitting(seeds=2)
    control = evaluate("itm", features, labels, splitting=splitting).details["control"]
    assert control == evaluate("itm_eta0", features, labels, splitting=splitting).value


@pytest.mark.parametrize("name", [name for name in names() if get(name).needs])
def test_what_a_score_needs_and_is_not_known_is_named(name: str) -> None:
    """A score that needs more than embeddings says what, and what to do where there is none."""
    with pytest.raises(ScoreError, match=f"{name} needs .*, which is not known; "):
        evaluate(name, *blobs())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source(logits=np.ones((9, 4))), "logits have shape \\(9, 4\\); 120 along the first of 2 axes"),
        (Source(logits=np.full((120, 4), np.nan)), "logits hold values that are not finite"),
    ],
)
def test_a_source_that_does_not_fit_is_named(source: Source, said: str) -> None:
    """What is known of another model or other images is refused, for every score."""
    with pytest.raises(ScoreError, match=said):
        evaluate("logme", *blobs(), source=source)


def test_wildcards_and_pooled_scores_name_what_is_computed() -> None:
    """A wildcard stands for what matches it, a pooled score brings its terms, and nothing is named twice."""
    assert computed(["itm*", "knn", "itm"]) == ("itm", "itm_eta0", "knn")
    assert set(computed(["*"])) == set(names())
    for name in names():
        assert computed([name]) == (*get(name).terms, name)


@pytest.mark.parametrize("name", [name for name in names() if get(name).terms])
def test_a_pooled_score_of_one_model_is_refused(name: str) -> None:
    """A score made of several models' values says which scores can be had of one."""
    with pytest.raises(ParamsError, match=f"{name!r} is made of several models' values; rank them, or ask for"):
        evaluate(name, *blobs())


def test_ids_must_be_one_a_row() -> None:
    """An id that stands twice is refused, since it leaves the order open."""
    features, labels = blobs(n=10)
    with pytest.raises(ScoreError, match="9 of them different"):
        evaluate("knn", features, labels, ids=[*"abcdefghi", "a"])


def test_unknown_scores_and_options_name_the_nearest() -> None:
    """A misspelt score or option is answered with the right spelling."""
    with pytest.raises(ParamsError, match="did you mean 'logme'"):
        get("logmee")
    with pytest.raises(ParamsError, match="did you mean 'recursions'"):
        check_options("itm", {"recursion": 3})


def test_every_score_says_what_it_is(name: str) -> None:
    """Each score has a sentence of purpose, a meaning, a range and a home in the table of scores."""
    definition = get(name)
    assert definition.summary.endswith(".")
    assert definition.cost
    assert len(definition.meaning) > 40
    assert definition.value_range


@pytest.mark.parametrize("value", ["many", True, None, 1.5])
def test_options_of_the_wrong_type_are_refused(value: object) -> None:
    """A word, a truth value or a fraction where a whole number belongs is an error that names the option."""
    with pytest.raises(ParamsError, match="option neighbours is"):
        check_options("knn", {"neighbours": value})
