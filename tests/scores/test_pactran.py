"""PACTran against a plain optimisation of its bound on dense matrices."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from itm.errors import ParamsError
from itm.scores import check_options, evaluate
from tests.scores.samples import blobs


def by_definition(features: np.ndarray, labels: np.ndarray, reference: bool) -> float:
    """Minimise the penalised loss by brute force and put what is found into the bound."""
    n, classes = len(labels), int(labels.max()) + 1
    rows = features.astype(np.float64) - features.astype(np.float64).mean(axis=0)
    rank = np.linalg.matrix_rank(rows)
    if not reference:
        rows = rows * np.sqrt(0.3 * rank / rows.var(axis=0).sum())
    d, targets = rows.shape[1], np.eye(classes)[labels]
    strength = 0.1 * n if reference else 0.1 * n * rank * (1 / rank)  # beta s

    def penalised(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(d + 1, classes)
        logits = rows @ weights[:-1] + weights[-1]
        loss = -(targets * log_softmax(logits, axis=1)).sum() / n + 0.5 * (weights[:-1] ** 2).sum() / strength
        pull = (softmax(logits, axis=1) - targets) / n
        slope = np.vstack([rows.T @ pull + weights[:-1] / strength, pull.sum(axis=0)])
        return float(loss), slope.ravel()

    found = minimize(
        penalised, np.zeros((d + 1) * classes), jac=True, method="L-BFGS-B", options={"maxiter": 20000, "ftol": 0, "gtol": 1e-9}
    )
    weights = found.x.reshape(d + 1, classes)
    chances = softmax(rows @ weights[:-1] + weights[-1], axis=1)
    curved = (chances * (1 - chances)).sum(axis=1)
    if reference:  # the sum over rows, biases counted too
        inner = 1 + strength / (d * classes) * float(curved @ ((rows**2).sum(axis=1) + 1))
    else:
        inner = 1 + strength / (rank * classes) * float(curved @ (rows**2).sum(axis=1)) / n
    return -(found.fun + classes / (2 * 0.1 * n) * np.log(inner))


@pytest.mark.parametrize(("rows", "width"), [(150, 8), (60, 90)])
def test_is_the_bound_at_its_minimum(rows: int, width: int) -> None:
    """For more rows than features and for fewer, it is the bound at the minimum that a plain optimiser finds."""
    features, labels = blobs(rows, width, gap=0.7)
    assert evaluate("pactran", features, labels).value == pytest.approx(by_definition(features, labels, False), abs=1e-6)


def test_reference_is_the_public_formula_at_the_minimum() -> None:
    """With `reference`, features keep their unit and the curvature is a sum over rows, as in the public code."""
    features, labels = blobs(150, 8, gap=0.7)
    value = evaluate("pactran", 3 * features, labels, options={"reference": True}).value
    assert value == pytest.approx(by_definition(3 * features, labels, True), abs=1e-5)


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"prior_variance": -1.0}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    """An option out of range is an error that names the score."""
    with pytest.raises(ParamsError, match="pactran"):
        check_options("pactran", options)
