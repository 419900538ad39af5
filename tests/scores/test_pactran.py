"""PACTran against its definition: a dense minimisation, and curvatures by differences."""

import numpy as np
import pytest
from scipy import special

from itm.core.errors import ParamsError, ScoreError
from itm.scores import evaluate, make
from tests.scores import public_code
from tests.scores.conftest import Golden
from tests.scores.public_code import cross_entropy, penalised_minimum
from tests.scores.samples import blobs

pytestmark = pytest.mark.slow


def trace_by_differences(features: np.ndarray, labels: np.ndarray, values: np.ndarray) -> float:
    """Return the sum of second derivatives of the cross-entropy by each weight, from values to both sides of it."""
    width, total, here = 1e-3, 0.0, cross_entropy(features, labels, values)
    for place in np.ndindex(values[:-1].shape):
        sides = 0.0
        for sign in (-1, 1):
            moved = values.copy()
            moved[place] += sign * width
            sides += cross_entropy(features, labels, moved)
        total += (sides - 2 * here) / width**2
    return total


def by_definition(features: np.ndarray, labels: np.ndarray, beta: float, prior: float) -> float:
    """Return the score in the features' own coordinates, with the singular value decomposition's rank."""
    centred = features - features.mean(axis=0)
    rank = np.linalg.matrix_rank(centred)
    scaled = centred / np.sqrt((centred**2).sum() / len(centred) / rank / 0.3)
    n, classes = len(labels), len(set(labels))
    beta, prior = beta * n * rank, prior / rank
    values = penalised_minimum(scaled, labels, 1 / (beta * prior))
    loss = cross_entropy(scaled, labels, values) + (values[:-1] ** 2).sum() / (2 * beta * prior)
    directions = classes * rank
    trace = trace_by_differences(scaled, labels, values)
    return float(-loss - directions / (2 * beta) * np.log(1 + beta * prior / directions * trace))


@pytest.mark.parametrize(("beta", "prior"), [(0.1, 1.0), (3.0, 1.0), (0.1, 30.0)])
@pytest.mark.parametrize(("n", "width"), [(60, 6), (25, 40)])
def test_equals_the_bound_by_definition(n: int, width: int, beta: float, prior: float) -> None:
    features, labels = blobs(n=n, d=width, gap=0.8)
    features = features.astype(np.float64) * np.logspace(-1, 1, width) + 5.0
    labels = np.where(labels == 3, labels % 2, labels)  # classes of unequal size
    expected = by_definition(features, labels, beta, prior)
    found = evaluate("pactran", features, labels, options={"beta": beta, "prior_variance": prior}).value
    assert found == pytest.approx(expected, abs=1e-6)


def test_only_the_public_formula_depends_on_the_unit_of_features() -> None:
    features, labels = blobs(gap=0.7)
    ours = [evaluate("pactran", features * unit, labels).value for unit in (1.0, 100.0)]
    public = [public_code.pactran(features.astype(np.float64) * unit, labels) for unit in (1.0, 100.0)]
    assert ours[1] == pytest.approx(ours[0], abs=1e-6)
    assert abs(public[1] - public[0]) > 0.05


def test_the_public_formula_sums_curvatures(golden: Golden) -> None:
    if golden.features.shape[1] > 64:
        pytest.skip("the dense minimisation takes long")
    centred = golden.features.astype(np.float64) - golden.features.mean(axis=0)
    scaled = centred / np.sqrt(centred.var(axis=0).mean() / 0.3)
    assert public_code.pactran(scaled, golden.labels) < evaluate("pactran", golden.features, golden.labels).value - 0.005


@pytest.mark.parametrize(("n", "width"), [(120, 12), (40, 90)])
def test_rows_that_do_not_fit_into_memory_give_the_same(monkeypatch: pytest.MonkeyPatch, n: int, width: int) -> None:
    features, labels = blobs(n=n, d=width, gap=0.7)
    whole = evaluate("pactran", features, labels).value
    monkeypatch.setattr("itm.scores.common.penalised_classifier.KEPT", 0)
    monkeypatch.setattr("itm.scores.common.penalised_classifier.BLOCK", 70)
    assert evaluate("pactran", features, labels).value == pytest.approx(whole, abs=1e-7)


def test_a_badly_conditioned_problem_is_solved_as_well() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 5
    features = (rng.normal(size=(300, 100)) + 2.0 * rng.normal(size=(5, 100))[labels] * (np.arange(100) > 50)) * np.logspace(
        0, -4, 100
    )
    centred = features - features.mean(axis=0)
    scaled = centred / np.sqrt((centred**2).sum() / 300 / 100 / 0.3)
    penalty = 1 / (10.0 * 300)
    values = penalised_minimum(scaled, labels, penalty)
    chances = special.softmax(scaled @ values[:-1] + values[-1], axis=1)
    trace = ((chances * (1 - chances)).sum(axis=1) * (scaled**2).sum(axis=1)).mean()
    loss = cross_entropy(scaled, labels, values) + penalty / 2 * (values[:-1] ** 2).sum()
    expected = -loss - 5 / (0.2 * 300) * np.log(1 + 10.0 * 300 / (5 * 100) * trace)
    assert evaluate("pactran", features, labels, options={"prior_variance": 100.0}).value == pytest.approx(expected, abs=1e-6)


def test_constant_features_cost_the_entropy_of_the_classes() -> None:
    labels = np.repeat([0, 1, 2], [70, 20, 10])
    shares = np.array([0.7, 0.2, 0.1])
    assert evaluate("pactran", np.full((100, 4), 0.1), labels).value == pytest.approx(float(shares @ np.log(shares)))


def test_a_classifier_that_does_not_converge_is_an_error() -> None:
    features, labels = blobs(n=40, gap=3.0)
    with pytest.raises(ScoreError, match=r"has not converged in 100 steps.*take a smaller beta or prior_variance"):
        evaluate("pactran", features, labels, options={"prior_variance": 1e60})


@pytest.mark.parametrize(
    ("option", "value"), [("beta", 0.0), ("beta", np.inf), ("prior_variance", -1.0), ("prior_variance", np.nan)]
)
def test_options_out_of_range_are_errors(option: str, value: float) -> None:
    with pytest.raises(ParamsError, match=f"score 'pactran' options: {option}: must be .*got {value}"):
        make("pactran", {option: value})
