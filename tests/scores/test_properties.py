"""Properties of every score. Exceptions are listed by name with their reason.

An exception is a strict expected failure: one that is no longer needed fails the suite.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from itm.core.errors import ScoreError
from itm.kinds import METRICS
from itm.scores import Evaluation, ModelInfo, Splitting, canonical, evaluate_together, get, names
from tests.scores.samples import blobs, in_order, known, scored

pytestmark = pytest.mark.slow

SINGLE = [name for name in names() if get(name).sampling != "pooled"]
CONSTANT = {name: "it does not depend on the images" for name in names() if get(name).sampling == "constant"}
HELD_OUT = [name for name in names() if get(name).sampling == "held_out"]

BY_FEATURE = dict.fromkeys(("itm", "itm_eta0", "linear_probe", "ped"), "each feature is standardised by itself")
MAXIMUM = {"tmi": "distances are the largest difference of a feature, as published"}
SHRUNK = ("hscore_shrunk", "lda", "ncti_nuclear", "ncti_posterior", "ncti_collapse", "ped", "sa", "sfda")

# The reason why a score lacks a property, by property and name.
EXCEPTIONS: dict[str, dict[str, str]] = {
    "separation": CONSTANT
    | {
        "ncti_collapse": "posteriors that are equal for all images collapse as well as certain ones",
        "tmi": "it is for classes that are spread out, not for classes that are separated",
    },
    "scale": {},
    "rotation": BY_FEATURE | MAXIMUM,
    "wider space": BY_FEATURE | MAXIMUM,
    "every row twice": dict.fromkeys(HELD_OUT, "a row and its copy are in different folds")
    | dict.fromkeys(SHRUNK, "covariances are shrunk less for more rows")
    | {
        "lead": "rows are sampled, and the penalty of its classifiers weighs less with more of them",
        "pactran": "the prior weighs less with more rows",
        "logme": "evidence grows with every image, also with a copy",
        "parc": "a row and its copy are a pair with distance 0",
        "tmi": "a row is the nearest neighbour of its copy",
    },
    "seeds": CONSTANT,
}


def each(what: str) -> Callable[..., Any]:
    """Run a test with every score; the exceptions must fail it."""
    exceptions = EXCEPTIONS[what]
    marks = {name: [pytest.mark.xfail(strict=True, raises=AssertionError, reason=why)] for name, why in exceptions.items()}
    return pytest.mark.parametrize("name", [pytest.param(name, marks=marks.get(name, [])) for name in SINGLE])


def test_every_exception_is_a_registered_score() -> None:
    assert {name for exceptions in EXCEPTIONS.values() for name in exceptions} <= set(SINGLE)


@pytest.mark.parametrize("name", SINGLE)
def test_order_of_rows_and_names_of_classes_do_not_matter(name: str) -> None:
    features, labels = blobs()
    order = np.random.default_rng(1).permutation(len(labels))
    renamed = np.array([40, 7, 900, 13])[labels]
    assert scored(name, features[order], renamed[order]) == scored(name, features, labels)


@pytest.mark.parametrize("name", SINGLE)
def test_ids_decide_the_order_where_there_are_any(name: str) -> None:
    features, labels = blobs()
    ids = np.array(in_order(labels))
    order = np.random.default_rng(2).permutation(len(labels))
    assert scored(name, features[order], labels[order], ids=ids[order]) == scored(name, features, labels, ids=ids)


@each("seeds")
def test_the_same_seed_gives_the_same_value_and_another_does_not(name: str) -> None:
    features, labels = blobs(gap=0.7)
    first = scored(name, features, labels, splitting=Splitting(folds=3, seed=3))
    assert scored(name, features, labels, splitting=Splitting(folds=3, seed=3)) == first
    assert scored(name, features, labels, splitting=Splitting(folds=3, seed=90)).fold_values != first.fold_values


@pytest.mark.parametrize("name", SINGLE)
def test_input_is_never_changed(name: str) -> None:
    features, labels = blobs()
    model = known(features)
    assert model.logits is not None
    for array in (features, labels, model.logits):
        array.setflags(write=False)
    assert np.isfinite(scored(name, features, labels, model=model).value)


@pytest.mark.parametrize("name", SINGLE)
def test_a_memory_mapped_table_in_any_order_scores_as_the_array(name: str, tmp_path: Path) -> None:
    features, labels = blobs()
    order = np.random.default_rng(3).permutation(len(labels))
    np.save(tmp_path / "table.npy", features[order])
    mapped = np.load(tmp_path / "table.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    ids = np.array(in_order(labels))
    whole = scored(name, features, labels, ids=ids)
    assert scored(name, mapped, labels[order], ids=ids[order], model=known(features[order])) == whole


@pytest.mark.parametrize("name", SINGLE)
def test_another_model_in_the_pool_changes_nothing(name: str) -> None:
    _, labels = blobs()
    ids = in_order(labels)
    tables = [blobs(seed=seed, d=width, gap=gap)[0] for seed, width, gap in ((1, 12, 2.0), (2, 7, 1.0), (3, 12, 0.5))]
    samples = [canonical(table, labels, ids, known(table)) for table in tables]
    found = evaluate_together(name, [*samples, canonical(tables[0], labels, ids, ModelInfo())], splitting=Splitting(folds=3))
    assert found[:3] == [scored(name, table, labels, ids=ids) for table in tables]
    assert isinstance(found[3], ScoreError if get(name).info.needs else Evaluation)


@each("separation")
def test_better_separated_classes_score_higher(name: str) -> None:
    values = [scored(name, *blobs(n=300, gap=gap), model=None).value for gap in (0.2, 1.0, 3.0)]
    assert values[0] < values[1] < values[2]


@each("scale")
def test_scale_of_the_features_does_not_matter(name: str) -> None:
    features, labels = blobs()
    ids, model = in_order(labels), known(features)
    values = [scored(name, features * scale, labels, ids=ids, model=model).value for scale in (2.0**-6, 1.0, 2.0**9)]
    assert values == pytest.approx([values[1]] * 3, rel=1e-9)


@each("rotation")
def test_a_rotation_of_the_space_does_not_matter(name: str) -> None:
    features, labels = blobs(n=200, gap=0.7)
    features = features.astype(np.float64) * np.logspace(-1, 1, 12)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
    ids, model = in_order(labels), known(features)
    own, turned = (scored(name, table, labels, ids=ids, model=model).value for table in (features, features @ turn))
    assert turned == pytest.approx(own, rel=1e-8, abs=1e-9)


@each("wider space")
def test_few_images_in_a_wide_rotated_space_score_as_in_their_own(name: str) -> None:
    features, labels = blobs(n=100, d=64, gap=0.5)
    features = features.astype(np.float64)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(1024, 64)))[0]
    ids, model = in_order(labels), known(features)
    narrow = scored(name, features, labels, ids=ids, model=model).value
    assert scored(name, features @ turn.T, labels, ids=ids, model=model).value == pytest.approx(narrow, abs=1e-6)


@each("every row twice")
def test_every_row_twice_has_the_value_of_once(name: str) -> None:
    features, labels = blobs(n=200)
    once, twice = (
        scored(name, np.repeat(features, times, axis=0), np.repeat(labels, times), ids=in_order(np.repeat(labels, times))).value
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
    result = scored(name, features, labels)
    assert np.isfinite([result.value, *result.fold_values]).all()


@pytest.mark.parametrize("name", SINGLE)
def test_a_class_of_one_row_beside_one_other_gives_a_number_or_a_reason(name: str) -> None:
    try:
        assert np.isfinite(scored(name, blobs(n=40)[0], np.r_[np.zeros(39, int), 1]).value)
    except ScoreError as error:
        said = r"of 40 rows, the \d+ training rows of a fold cannot be scored: every label is 0; .* Add images\."
        assert re.fullmatch(said, str(error))  # noqa: PT017  (either is right)


@pytest.mark.parametrize("name", SINGLE)
def test_values_stay_within_the_bounds(name: str) -> None:
    for features, labels in (blobs(gap=0.0), blobs(), (np.eye(4)[np.arange(40) % 4], np.arange(40) % 4), blobs(n=30, d=90)):
        result = scored(name, features, labels)
        info = METRICS[result.metric] if result.metric else get(name).info
        assert all(info.lowest <= value <= info.highest for value in (result.value, *result.fold_values))


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize(
    ("features", "labels", "said"),
    [
        (np.full((10, 3), np.nan), np.arange(10) % 2, "10 of 10 rows are not finite"),
        (np.r_[np.ones((9, 3)), [[np.inf, 0, 0]]], np.arange(10) % 2, "the first is row 9"),
        (np.ones((10, 3)), np.zeros(10, int), "at least two classes"),
        (np.ones((10, 3)), np.arange(9) % 2, "one target for each of 10 rows"),
        (np.ones((10, 0)), np.arange(10) % 2, "neither of them 0"),
        (np.ones((10, 3)), np.arange(10) % 2 + 0.5, "class labels are text or whole numbers"),
        (np.ones((4, 3)), np.arange(4) % 2, "at least 5"),
        (np.ones(10), np.arange(10) % 2, "shape (10,)"),
    ],
)
def test_impossible_input_is_named(name: str, features: np.ndarray, labels: np.ndarray, said: str) -> None:
    model = known(features) if features.ndim == 2 else ModelInfo()
    with pytest.raises(ScoreError) as caught:
        scored(name, features, labels, model=model)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", [name for name in SINGLE if name not in CONSTANT])
def test_fewer_rows_than_folds_are_an_error(name: str) -> None:
    with pytest.raises(ScoreError, match="there are 9 rows for 10 folds"):
        scored(name, *blobs(n=9), splitting=Splitting(folds=10))
