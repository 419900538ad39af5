"""The contract of every score: properties that hold over the whole registry."""

from pathlib import Path

import numpy as np
import pytest

from itm.errors import ParamsError, ScoreError
from itm.scores import Splitting, check_options, evaluate, evaluate_together, get, names

HELD_OUT = [name for name in names() if get(name).sampling == "held_out"]
SCALE_FREE = {"itm", "itm_eta0", "knn", "linear_probe", "logme"}
ROTATION_FREE = {"knn", "logme"}  # the others standardise each feature by itself, which a rotation changes


def blobs(n: int = 120, d: int = 12, classes: int = 4, gap: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return Gaussian classes whose centres lie `gap` apart or so."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    features = rng.normal(size=(n, d)) + gap * rng.normal(size=(classes, d))[labels] / 2
    return features.astype(np.float32), labels


@pytest.fixture(params=names())
def name(request: pytest.FixtureRequest) -> str:
    """Return each score's name in turn."""
    return str(request.param)


def test_order_of_rows_and_names_of_classes_do_not_matter(name: str) -> None:
    """Rows in another order, with other class numbers that leave gaps, give the same value and draws."""
    features, labels = blobs()
    order = np.random.default_rng(1).permutation(len(labels))
    renamed = np.array([40, 7, 900, 13])[labels]
    assert evaluate(name, features[order], renamed[order]) == evaluate(name, features, labels)


def test_ids_decide_the_order_where_there_are_any(name: str) -> None:
    """With ids, rows in another order give the same value, whatever the ids say of their content."""
    features, labels = blobs()
    ids = [f"{i:03d}" for i in range(len(labels))]
    order = np.random.default_rng(2).permutation(len(labels))
    shuffled = evaluate(name, features[order], labels[order], ids=[ids[i] for i in order])
    assert shuffled == evaluate(name, features, labels, ids=ids)


def test_the_same_seed_gives_the_same_value_and_another_does_not(name: str) -> None:
    """A score is a function of its input and its seed."""
    features, labels = blobs(gap=0.7)
    first = evaluate(name, features, labels, splitting=Splitting(seed=3))
    assert evaluate(name, features, labels, splitting=Splitting(seed=3)) == first
    assert evaluate(name, features, labels, splitting=Splitting(seed=90)).draws != first.draws


def test_the_splitting_says_how_many_draws_there_are(name: str) -> None:
    """A draw a split, and a held-out score is their mean."""
    features, labels = blobs()
    for splitting in (Splitting(folds=3, seeds=2), Splitting("paper", seeds=4)):
        result = evaluate(name, features, labels, splitting=splitting)
        assert len(result.draws) == splitting.draws
        if name in HELD_OUT:
            assert result.value == pytest.approx(np.mean(result.draws))


def test_fewer_rows_than_folds_are_an_error(name: str) -> None:
    """Nine rows cannot be dealt over ten folds, and the error says so."""
    with pytest.raises(ScoreError, match="there are 9 rows for 10 folds"):
        evaluate(name, *blobs(n=9), splitting=Splitting(folds=10))


def test_input_is_never_changed(name: str) -> None:
    """Arrays that cannot be written to are scored as well, so nobody writes to them."""
    features, labels = blobs()
    features.setflags(write=False)
    labels.setflags(write=False)
    assert np.isfinite(evaluate(name, features, labels).value)


def test_a_memory_mapped_table_in_any_order_scores_as_the_array(name: str, tmp_path: Path) -> None:
    """Rows that lie on the disk in another order than that of their ids give what the array in memory gives."""
    features, labels = blobs()
    order = np.random.default_rng(3).permutation(len(labels))
    ids = [f"{i:03d}" for i in order]
    np.save(tmp_path / "table.npy", features[order])
    mapped = np.load(tmp_path / "table.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    whole = evaluate(name, features, labels, ids=[f"{i:03d}" for i in range(len(labels))])
    assert evaluate(name, mapped, labels[order], ids=ids) == whole


def test_models_scored_together_score_as_alone(name: str) -> None:
    """Each of several tables, of one width or another, has exactly its own result, and a broken one its error."""
    _, labels = blobs()
    ids = [f"{i:03d}" for i in range(len(labels))]
    tables = [blobs(seed=seed, d=width, gap=gap)[0] for seed, width, gap in ((1, 12, 2.0), (2, 7, 1.0), (3, 12, 0.5))]
    broken = tables[0].copy()
    broken[4, 5] = np.nan
    found = evaluate_together(name, [tables[0], broken, *tables[1:]], labels, ids=ids)
    assert isinstance(found[1], ScoreError)
    assert "1 of 120 rows are not finite, the first is row 4" in str(found[1])
    assert [found[0], *found[2:]] == [evaluate(name, table, labels, ids=ids) for table in tables]


def test_better_separated_classes_score_higher(name: str) -> None:
    """Classes further apart score higher, from hardly to clearly told apart."""
    values = [evaluate(name, *blobs(n=300, gap=gap)).value for gap in (0.2, 1.0, 3.0)]
    assert values[0] < values[1] < values[2]


@pytest.mark.parametrize("name", sorted(SCALE_FREE))
def test_scale_of_the_features_does_not_matter(name: str) -> None:
    """Features times a power of two, which no rounding touches, give the same value to the last digits."""
    features, labels = blobs()
    ids = [f"{i:03d}" for i in range(len(labels))]
    values = [evaluate(name, features * scale, labels, ids=ids).value for scale in (2.0**-6, 1.0, 2.0**9)]
    assert values == pytest.approx([values[1]] * 3, rel=1e-9)


@pytest.mark.parametrize("name", sorted(ROTATION_FREE))
def test_few_images_in_a_wide_rotated_space_score_as_in_their_own(name: str) -> None:
    """64 dimensions of information turned into 2048, for 100 images, change a rotation-free score by less than 1e-6."""
    features, labels = blobs(n=100, d=64)
    features = features.astype(np.float64)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(2048, 64)))[0]
    ids = [f"{i:03d}" for i in range(len(labels))]
    narrow = evaluate(name, features, labels, ids=ids).value
    assert evaluate(name, features @ turn.T, labels, ids=ids).value == pytest.approx(narrow, abs=1e-6)


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        pytest.param(np.ones((40, 6)), np.arange(40) % 2, id="constant features"),
        pytest.param(np.zeros((40, 6)), np.arange(40) % 2, id="zero features"),
        pytest.param(blobs(n=12, d=300)[0], np.arange(12) % 4, id="fewer rows than features"),
        pytest.param(np.repeat(blobs(n=20)[0], 3, axis=0), np.repeat(np.arange(20) % 4, 3), id="duplicate rows"),
        pytest.param(np.repeat(blobs(n=40)[0], 3, axis=1), np.arange(40) % 4, id="duplicate features"),
        pytest.param(blobs(n=40)[0], np.r_[np.zeros(39, int), 1], id="a class with one row"),
        pytest.param(np.eye(40), np.arange(40) % 2, id="classes that are exactly linear"),
        pytest.param(blobs(n=40)[0] * np.float32(1e30), np.arange(40) % 4, id="huge features"),
    ],
)
def test_odd_input_gives_a_finite_number(name: str, features: np.ndarray, labels: np.ndarray) -> None:
    """Degenerate but legal features give a finite score."""
    result = evaluate(name, features, labels)
    assert np.isfinite([result.value, *result.draws]).all()


@pytest.mark.parametrize(
    ("features", "labels", "said"),
    [
        (np.full((10, 3), np.nan), np.arange(10) % 2, "10 of 10 rows are not finite"),
        (np.r_[np.ones((9, 3)), [[np.inf, 0, 0]]], np.arange(10) % 2, "the first is row 9"),
        (np.ones((10, 3)), np.zeros(10, int), "at least two classes"),
        (np.ones((10, 3)), np.arange(9) % 2, "one label for each of 10 rows"),
        (np.ones((10, 0)), np.arange(10) % 2, "neither of them 0"),
        (np.ones((10, 3)), np.arange(10) % 2.0, "must be integers"),
        (np.ones((4, 3)), np.arange(4) % 2, "at least 5"),
        (np.ones(10), np.arange(10) % 2, "shape (10,)"),
    ],
)
def test_input_that_cannot_be_judged_is_named(name: str, features: np.ndarray, labels: np.ndarray, said: str) -> None:
    """Impossible input is a ScoreError that says what is wrong with it."""
    with pytest.raises(ScoreError) as caught:
        evaluate(name, features, labels)
    assert said in str(caught.value)


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
    assert set(evaluate(name, *blobs()).details) == expected


def test_the_control_of_itm_is_itm_without_movement() -> None:
    """What `itm` tells beside its value is what `itm_eta0` scores on the same splits."""
    features, labels = blobs(gap=0.7)
    splitting = Splitting(seeds=2)
    control = evaluate("itm", features, labels, splitting=splitting).details["control"]
    assert control == evaluate("itm_eta0", features, labels, splitting=splitting).value


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
    assert len(definition.meaning) > 40
    assert definition.value_range


@pytest.mark.parametrize("value", ["many", True, None, 1.5])
def test_options_of_the_wrong_type_are_refused(value: object) -> None:
    """A word, a truth value or a fraction where a whole number belongs is an error that names the option."""
    with pytest.raises(ParamsError, match="option neighbours is"):
        check_options("knn", {"neighbours": value})
