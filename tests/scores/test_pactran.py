"""PACTran against its definition: a dense minimisation, and curvatures by differences."""

import numpy as np
import pytest
from scipy import optimize, special

from itm.core.errors import ParamsError, ScoreError
from itm.scores import check_options, evaluate
from tests.scores.conftest import Golden
from tests.scores.samples import blobs


def cross_entropy(features: np.ndarray, labels: np.ndarray, values: np.ndarray) -> float:
    """Return the mean of -log p of the right class; the last row of `values` are biases."""
    logits = features @ values[:-1] + values[-1]
    return float(-special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def minimum(features: np.ndarray, labels: np.ndarray, penalty: float) -> np.ndarray:
    """Return the weights and biases at which cross-entropy + penalty |w|^2 / 2 is least, from a random start."""
    shape = (features.shape[1] + 1, int(labels.max()) + 1)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        values = flat.reshape(shape)
        chances = special.softmax(features @ values[:-1] + values[-1], axis=1)
        error = (chances - np.eye(shape[1])[labels]) / len(labels)
        slope = np.vstack([features.T @ error + penalty * values[:-1], error.sum(axis=0)])
        return cross_entropy(features, labels, values) + penalty / 2 * float((values[:-1] ** 2).sum()), slope.ravel()

    start = np.random.default_rng(0).normal(size=shape).ravel()
    options = {"maxiter": 20000, "maxfun": 40000, "ftol": 0, "gtol": 1e-9, "maxcor": 50}
    return optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x.reshape(shape)


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
    values = minimum(scaled, labels, 1 / (beta * prior))
    loss = cross_entropy(scaled, labels, values) + (values[:-1] ** 2).sum() / (2 * beta * prior)
    directions = classes * rank
    trace = trace_by_differences(scaled, labels, values)
    return float(-loss - directions / (2 * beta) * np.log(1 + beta * prior / directions * trace))


def by_the_public_formula(features: np.ndarray, labels: np.ndarray) -> float:
    """Return minus the public code's formula on raw centred features: curvatures are sums over rows, those of biases too."""
    centred = features - features.mean(axis=0)
    (n, width), classes = centred.shape, len(set(labels))
    values = minimum(centred, labels, 1 / (0.1 * n))
    loss = cross_entropy(centred, labels, values) + (values[:-1] ** 2).sum() / (0.2 * n)
    chances = special.softmax(centred @ values[:-1] + values[-1], axis=1)
    spread = chances * (1 - chances)
    summed = (np.square(centred).T @ spread + 1 / (0.1 * n)).sum() + spread.sum()
    return float(-loss - 0.5 * classes / (0.1 * n) * np.log(summed * 0.1 * n / (width * classes)))


@pytest.mark.parametrize(("beta", "prior"), [(0.1, 1.0), (3.0, 1.0), (0.1, 30.0)])
@pytest.mark.parametrize(("n", "width"), [(60, 6), (25, 40)])
def test_equals_the_bound_by_definition(n: int, width: int, beta: float, prior: float) -> None:
    """For more rows than features and for fewer, of very different scales, the score is the published bound."""
    features, labels = blobs(n=n, d=width, gap=0.8)
    features = features.astype(np.float64) * np.logspace(-1, 1, width) + 5.0
    labels = np.where(labels == 3, labels % 2, labels)  # classes of unequal size
    expected = by_definition(features, labels, beta, prior)
    found = evaluate("pactran", features, labels, options={"beta": beta, "prior_variance": prior}).value
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_reference_is_the_public_formula_at_its_minimum(golden: Golden) -> None:
    """On the golden arrays, as large as they come, `reference` gives the public code's formula with its defects."""
    found = evaluate("pactran", golden.features, golden.labels, options={"reference": True}).value
    assert found == pytest.approx(by_the_public_formula(golden.features, golden.labels), rel=1e-6)


def test_only_the_reference_depends_on_the_unit_of_features() -> None:
    """The same features a hundred times as large fit better by the published bound, and as well by ours."""
    features, labels = blobs(gap=0.7)
    ours = [evaluate("pactran", features * unit, labels).value for unit in (1.0, 100.0)]
    published = [evaluate("pactran", features * unit, labels, options={"reference": True}).value for unit in (1.0, 100.0)]
    assert ours[1] == pytest.approx(ours[0], abs=1e-6)
    assert abs(published[1] - published[0]) > 0.05


@pytest.mark.parametrize(("n", "width"), [(120, 12), (40, 90)])
def test_rows_that_do_not_fit_into_memory_give_the_same(monkeypatch: pytest.MonkeyPatch, n: int, width: int) -> None:
    """With nothing kept from step to step, and few rows read at once, the score is the same up to its tolerance."""
    features, labels = blobs(n=n, d=width, gap=0.7)
    whole = evaluate("pactran", features, labels).value
    monkeypatch.setattr("itm.scores.library.pactran.KEPT", 0)
    monkeypatch.setattr("itm.scores.library.pactran.BLOCK", 70)
    assert evaluate("pactran", features, labels).value == pytest.approx(whole, abs=1e-7)


def test_a_badly_conditioned_problem_is_solved_as_well() -> None:
    """A hundred features whose variances span eight decades, and classes only the small ones tell apart, settle exactly."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 5
    features = (rng.normal(size=(300, 100)) + 2.0 * rng.normal(size=(5, 100))[labels] * (np.arange(100) > 50)) * np.logspace(
        0, -4, 100
    )
    centred = features - features.mean(axis=0)
    scaled = centred / np.sqrt((centred**2).sum() / 300 / 100 / 0.3)
    penalty = 1 / (10.0 * 300)
    values = minimum(scaled, labels, penalty)
    chances = special.softmax(scaled @ values[:-1] + values[-1], axis=1)
    trace = ((chances * (1 - chances)).sum(axis=1) * (scaled**2).sum(axis=1)).mean()
    loss = cross_entropy(scaled, labels, values) + penalty / 2 * (values[:-1] ** 2).sum()
    expected = -loss - 5 / (0.2 * 300) * np.log(1 + 10.0 * 300 / (5 * 100) * trace)
    assert evaluate("pactran", features, labels, options={"prior_variance": 100.0}).value == pytest.approx(expected, abs=1e-6)


def test_features_that_say_nothing_cost_the_entropy_of_the_classes() -> None:
    """Where all rows are alike the classifier knows how frequent the classes are, and there is no curvature."""
    labels = np.repeat([0, 1, 2], [70, 20, 10])
    shares = np.array([0.7, 0.2, 0.1])
    assert evaluate("pactran", np.full((100, 4), 0.1), labels).value == pytest.approx(float(shares @ np.log(shares)))


def test_a_classifier_that_never_settles_is_an_error() -> None:
    """Separable classes so large that the published penalty vanishes have no best classifier, and the error says so."""
    features, labels = blobs(n=40, gap=3.0)
    with pytest.raises(ScoreError, match=r"has not settled in 100 steps.*leave out reference"):
        evaluate("pactran", features.astype(np.float64) * 1e30, labels, options={"reference": True})


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"beta": np.inf}, {"prior_variance": -1.0}, {"prior_variance": np.nan}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    """Neither the bound's weight nor the prior's variance may be zero, negative or without end."""
    with pytest.raises(ParamsError, match="pactran needs beta > 0 and prior_variance > 0"):
        check_options("pactran", options)
