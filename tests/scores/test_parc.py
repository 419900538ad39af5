"""PARC against its definition in loops, and against the authors' code."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.decomposition import PCA

from itm.core.errors import ParamsError
from itm.scores import evaluate, make
from itm.scores.common.principal import balanced
from tests.scores import public_code
from tests.scores.conftest import Golden
from tests.scores.samples import blobs, in_order


def by_definition(rows: np.ndarray, labels: np.ndarray) -> float:
    """Correlate the two dissimilarities over all pairs, one pair after the other."""
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    pairs = [(i, j) for i in range(len(rows)) for j in range(i)]
    unlike = [1 - np.corrcoef(rows[i], rows[j])[0, 1] for i, j in pairs]
    return float(100 * spearmanr(unlike, [labels[i] != labels[j] for i, j in pairs])[0])


@pytest.mark.parametrize("width", [5, 90])
def test_equals_the_definition(width: int) -> None:
    rng = np.random.default_rng(width)
    labels = np.arange(60) % 2
    features = rng.normal(size=(60, width)) + 2 * np.eye(2, width)[labels]
    left, sizes, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    rows = left[:, :32] * sizes[:32]
    rows *= np.sign(rows[labels == 0].mean(axis=0))
    assert evaluate("parc", features, labels, ids=in_order(labels)).value == pytest.approx(
        by_definition(rows, labels), rel=1e-9
    )


def test_public_code_breaks_ties_by_rounding(golden: Golden) -> None:
    """Rounding makes the correlations of one-hot labels unequal from pair of classes to pair of classes, unless C is a power of
    two. Spearman's correlation then finds an order among ties, which depends on the library of linear algebra.
    """
    stored, power_of_two = golden.expected["parc:n_dims=32"], golden.labels.max() + 1 == 8
    found = public_code.parc(golden.features, golden.labels)
    assert found == pytest.approx(stored, rel=1e-6 if power_of_two else 1e-2)
    exact = randomised_parc_with_exact_ties(golden.features, golden.labels)
    assert (exact == pytest.approx(stored, rel=1e-9)) == power_of_two
    assert evaluate("parc", golden.features, golden.labels).value != pytest.approx(exact, rel=1e-4)  # exact principal axes


def randomised_parc_with_exact_ties(features: np.ndarray, labels: np.ndarray) -> float:
    """Return PARC with the PCA of the public code, and labels that are equal or not."""
    rows = PCA(32, svd_solver="randomized", iterated_power=1, random_state=1919).fit_transform(features)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    above = np.triu_indices(len(rows), 1)
    return float(100 * spearmanr(1 - np.corrcoef(rows)[above], (labels[:, None] != labels)[above])[0])


def test_two_classes_of_one_size_score_the_same_in_turned_axes() -> None:
    for seed in range(5):
        features, labels = blobs(n=100, classes=2, gap=0.7, seed=seed)
        features = features.astype(np.float64)
        turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(12, 12)))[0]
        own, turned = (evaluate("parc", table, labels, ids=in_order(labels)).value for table in (features, features @ turn))
        assert turned == pytest.approx(own, rel=1e-9)


def test_some_rows_stand_for_all() -> None:
    features, labels = blobs(n=1200, gap=1.0)
    whole = evaluate("parc", features, labels).value
    half = evaluate("parc", features, labels, options={"rows": 600}).value
    assert whole > 10
    assert half != whole
    assert half == pytest.approx(whole, rel=0.1)


def test_some_rows_are_drawn_evenly_over_the_classes() -> None:
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    chosen = balanced(labels, 110, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [50, 50, 10]
    assert (np.diff(chosen) > 0).all()
    assert set(balanced(labels, 110, seed=0)) == set(chosen) != set(balanced(labels, 110, seed=1))


def test_pairs_that_are_all_alike_have_the_value_0() -> None:
    line = np.arange(20.0)[:, None]
    assert evaluate("parc", line, np.arange(20) // 10).value == 0
    assert evaluate("parc", blobs(n=20)[0], np.arange(20)).value == 0


@pytest.mark.parametrize(("option", "value"), [("dimensions", 1), ("rows", 4), ("seed", -1)])
def test_options_out_of_range_are_errors(option: str, value: int) -> None:
    with pytest.raises(ParamsError, match=f"score 'parc' options: {option}: must be greater than .*got {value}"):
        make("parc", {option: value})
