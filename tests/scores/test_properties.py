"""Properties that hold over the whole registry; a score that lacks one is excused by name, with the reason.

An excuse is a strict expected failure: one that is no longer needed fails the suite.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from itm.core.errors import ScoreError
from itm.scores import Evaluation, Source, Splitting, canonical, evaluate_together, get, names
from tests.scores.samples import blobs, known, scored

SINGLE = [name for name in names() if get(name).sampling != "pooled"]
CONSTANT = {name: "it does not look at the images" for name in names() if get(name).sampling == "constant"}
HELD_OUT = [name for name in names() if get(name).sampling == "held_out"]

BY_FEATURE = dict.fromkeys(("itm", "itm_eta0", "linear_probe", "ped"), "each feature is standardised by itself")
MAXIMUM = {"tmi": "distances are the largest difference of a feature, as published"}
SHRUNK = ("hscore_shrunk", "lda", "ncti_nuclear", "ncti_posterior", "ncti_collapse", "ped", "sa", "sfda")

# Why a score lacks a property, by property and name.
EXCUSES: dict[str, dict[str, str]] = {
    "separation": CONSTANT
    | {
        "ncti_collapse": "posteriors that are the same for all images collapse as well as those that are certain",
        "tmi": "it asks for classes that are spread out, not for classes that lie apart",
    },
    "scale": {},
    "rotation": BY_FEATURE | MAXIMUM,
    "wider space": BY_FEATURE | MAXIMUM,
    "every row twice": dict.fromkeys(HELD_OUT, "a row and its double fall into different splits")
    | dict.fromkeys(SHRUNK, "covariances are shrunk less for more rows")
    | {
        "lead": "rows are sampled, and the penalty of its classifiers weighs less against more of them",
        "pactran": "the prior weighs less against more rows",
        "logme": "evidence grows with every image, also with one seen before",
        "parc": "a row and its double are a pair that is perfectly alike",
        "tmi": "a row is its double's nearest neighbour",
    },
    "seeds": CONSTANT,
}


def each(what: str) -> Callable[..., Any]:
    """Run a test with every score, of which those that are excused must fail it."""
    excuses = EXCUSES[what]
    marks = {name: [pytest.mark.xfail(strict=True, raises=AssertionError, reason=why)] for name, why in excuses.items()}
    return pytest.mark.parametrize("name", [pytest.param(name, marks=marks.get(name, [])) for name in SINGLE])


def numbers(rows: int) -> list[str]:
    """Return ids that keep rows in their order."""
    return [f"{row:04d}" for row in range(rows)]


def test_every_excuse_is_for_a_score_there_is() -> None:
    """A score that is renamed or removed takes its excuses along."""
    assert {name for excuses in EXCUSES.values() for name in excuses} <= set(SINGLE)


@pytest.mark.parametrize("name", SINGLE)
def test_order_of_rows_and_names_of_classes_do_not_matter(name: str) -> None:
    """Rows in another order, with other class numbers that leave gaps, give the same value and draws."""
    features, labels = blobs()
    order = np.random.default_rng(1).permutation(len(labels))
    renamed = np.array([40, 7, 900, 13])[labels]
    assert scored(name, features[order], renamed[order]) == scored(name, features, labels)


@pytest.mark.parametrize("name", SINGLE)
def test_ids_decide_the_order_where_there_are_any(name: str) -> None:
    """With ids, rows in another order give the same value, whatever the ids say of their content."""
    features, labels = blobs()
    ids = np.array(numbers(len(labels)))
    order = np.random.default_rng(2).permutation(len(labels))
    assert scored(name, features[order], labels[order], ids=ids[order]) == scored(name, features, labels, ids=ids)


@each("seeds")
def test_the_same_seed_gives_the_same_value_and_another_does_not(name: str) -> None:
    """A score is a function of its input and its seed."""
    features, labels = blobs(gap=0.7)
    first = scored(name, features, labels, splitting=Splitting(seed=3))
    assert scored(name, features, labels, splitting=Splitting(seed=3)) == first
    assert scored(name, features, labels, splitting=Splitting(seed=90)).draws != first.draws


@pytest.mark.parametrize("name", SINGLE)
def test_input_is_never_changed(name: str) -> None:
    """Arrays that cannot be written to are scored as well, so nobody writes to them."""
    features, labels = blobs()
    source = known(features)
    assert source.logits is not None
    for array in (features, labels, source.logits):
        array.setflags(write=False)
    assert np.isfinite(scored(name, features, labels, source=source).value)


@pytest.mark.parametrize("name", SINGLE)
def test_a_memory_mapped_table_in_any_order_scores_as_the_array(name: str, tmp_path: Path) -> None:
    """Rows that lie on the disk in another order than that of their ids give what the array in memory gives."""
    features, labels = blobs()
    order = np.random.default_rng(3).permutation(len(labels))
    np.save(tmp_path / "table.npy", features[order])
    mapped = np.load(tmp_path / "table.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    ids = np.array(numbers(len(labels)))
    whole = scored(name, features, labels, ids=ids)
    assert scored(name, mapped, labels[order], ids=ids[order], source=known(features[order])) == whole


@pytest.mark.parametrize("name", SINGLE)
def test_another_model_in_the_pool_changes_nothing(name: str) -> None:
    """Each of several tables, of one width or another, has exactly its own result, and one that lacks all sources its error."""
    _, labels = blobs()
    ids = numbers(len(labels))
    tables = [blobs(seed=seed, d=width, gap=gap)[0] for seed, width, gap in ((1, 12, 2.0), (2, 7, 1.0), (3, 12, 0.5))]
    samples = [canonical(table, labels, ids, known(table)) for table in tables]
    found = evaluate_together(name, [*samples, canonical(tables[0], labels, ids, Source())])
    assert found[:3] == [scored(name, table, labels, ids=ids) for table in tables]
    assert isinstance(found[3], ScoreError if get(name).needs else Evaluation)


@each("separation")
def test_better_separated_classes_score_higher(name: str) -> None:
    """Classes further apart score higher, from hardly to clearly told apart."""
    values = [scored(name, *blobs(n=300, gap=gap), source=None).value for gap in (0.2, 1.0, 3.0)]
    assert values[0] < values[1] < values[2]


@each("scale")
def test_scale_of_the_features_does_not_matter(name: str) -> None:
    """Features times a power of two, which no rounding touches, give the same value to the last digits."""
    features, labels = blobs()
    ids, source = numbers(len(labels)), known(features)
    values = [scored(name, features * scale, labels, ids=ids, source=source).value for scale in (2.0**-6, 1.0, 2.0**9)]
    assert values == pytest.approx([values[1]] * 3, rel=1e-9)


@each("rotation")
def test_a_rotation_of_the_space_does_not_matter(name: str) -> None:
    """Embeddings in axes turned at random score the same, also where features differ in scale."""
    features, labels = blobs(n=200, gap=0.7)
    features = features.astype(np.float64) * np.logspace(-1, 1, 12)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
    ids, source = numbers(len(labels)), known(features)
    own, turned = (scored(name, table, labels, ids=ids, source=source).value for table in (features, features @ turn))
    assert turned == pytest.approx(own, rel=1e-8, abs=1e-9)


@each("wider space")
def test_few_images_in_a_wide_rotated_space_score_as_in_their_own(name: str) -> None:
    """64 dimensions of information turned into 2048, for 100 images, change a score by less than 1e-6."""
    features, labels = blobs(n=100, d=64, gap=0.5)
    features = features.astype(np.float64)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(2048, 64)))[0]
    ids, source = numbers(len(labels)), known(features)
    narrow = scored(name, features, labels, ids=ids, source=source).value
    assert scored(name, features @ turn.T, labels, ids=ids, source=source).value == pytest.approx(narrow, abs=1e-6)


@each("every row twice")
def test_every_row_twice_says_no_more_than_once(name: str) -> None:
    """A data set that holds each image twice scores as one that holds it once."""
    features, labels = blobs(n=200)
    once, twice = (
        scored(name, np.repeat(features, times, axis=0), np.repeat(labels, times), ids=numbers(200 * times)).value
        for times in (1, 2)
    )
    assert twice == pytest.approx(once, rel=1e-9)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize(
    ("features", "labels"),
    [
        pytest.param(np.ones((40, 6)), np.arange(40) % 2, id="constant features"),
        pytest.param(np.full((3000, 6), 0.1), np.arange(3000) % 2, id="constant features that are no whole numbers"),
        pytest.param(np.zeros((40, 6)), np.arange(40) % 2, id="zero features"),
        pytest.param(blobs(n=12, d=300)[0], np.arange(12) % 4, id="fewer rows than features"),
        pytest.param(np.repeat(blobs(n=20)[0], 3, axis=0), np.repeat(np.arange(20) % 4, 3), id="duplicate rows"),
        pytest.param(np.repeat(blobs(n=40)[0], 3, axis=1), np.arange(40) % 4, id="duplicate features"),
        pytest.param(blobs(n=40)[0], np.r_[np.zeros(20, int), np.ones(19, int), 2], id="a class with one row"),
        pytest.param(blobs(n=40)[0], np.r_[np.zeros(10, int), np.arange(30)], id="most classes with one row"),
        pytest.param(np.eye(40), np.arange(40) % 2, id="classes that are exactly linear"),
        pytest.param(np.eye(4)[np.arange(40) % 4] * 5, np.arange(40) % 4, id="classes that are points"),
        pytest.param(blobs(n=40)[0] * np.float32(1e30), np.arange(40) % 4, id="huge features"),
        pytest.param(blobs(n=40)[0] * np.float32(1e-30), np.arange(40) % 4, id="tiny features"),
        pytest.param(blobs(n=40)[0] + np.float32(1e4), np.arange(40) % 4, id="features far from zero"),
    ],
)
def test_odd_input_gives_a_finite_number(name: str, features: np.ndarray, labels: np.ndarray) -> None:
    """Degenerate but legal features give a finite score."""
    result = scored(name, features, labels)
    assert np.isfinite([result.value, *result.draws]).all()


@pytest.mark.parametrize("name", SINGLE)
def test_two_classes_of_which_one_has_one_row_give_a_number_or_a_reason(name: str) -> None:
    """Where a split learns from one class only, a score that cannot be had says so."""
    try:
        assert np.isfinite(scored(name, blobs(n=40)[0], np.r_[np.zeros(39, int), 1]).value)
    except ScoreError as error:
        assert "of 40 rows all but 1 are of one class" in str(error)  # noqa: PT017  (either is right)


@pytest.mark.parametrize("name", SINGLE)
def test_values_stay_within_the_range_that_is_told(name: str) -> None:
    """What the table of scores says of a score's range holds on data that are hardly, well and perfectly told apart."""
    definition = get(name)
    for features, labels in (blobs(gap=0.0), blobs(), (np.eye(4)[np.arange(40) % 4], np.arange(40) % 4), blobs(n=30, d=90)):
        result = scored(name, features, labels)
        assert all(definition.lowest <= value <= definition.highest for value in (result.value, *result.draws))


@pytest.mark.parametrize("name", SINGLE)
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
    source = known(features) if features.ndim == 2 else Source()
    with pytest.raises(ScoreError) as caught:
        scored(name, features, labels, source=source)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", [name for name in SINGLE if name not in CONSTANT])
def test_fewer_rows_than_folds_are_an_error(name: str) -> None:
    """Nine rows cannot be dealt over ten folds, and the error says so."""
    with pytest.raises(ScoreError, match="there are 9 rows for 10 folds"):
        scored(name, *blobs(n=9), splitting=Splitting(folds=10))
