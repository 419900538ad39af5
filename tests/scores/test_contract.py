"""The contract of every score: properties that hold over the whole registry."""

import numpy as np
import pytest

from itm.errors import ParamsError, ScoreError
from itm.scores import check_options, evaluate, get, names

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
    first = evaluate(name, features, labels, seed=3)
    assert evaluate(name, features, labels, seed=3) == first
    assert evaluate(name, features, labels, seed=90).draws != first.draws


def test_input_is_never_changed(name: str) -> None:
    """Arrays that cannot be written to are scored as well, so nobody writes to them."""
    features, labels = blobs()
    features.setflags(write=False)
    labels.setflags(write=False)
    assert np.isfinite(evaluate(name, features, labels).value)


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
