"""LEAD against its definition with automatic differentiation, one row after the other."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from itm.core.errors import ParamsError
from itm.scores import evaluate, make
from tests.scores.samples import blobs

pytestmark = pytest.mark.slow


def squared_gradient(row: np.ndarray, head: torch.nn.Module) -> float:
    """Return the squared length of the gradient of the sum of a head's logits in all its parameters."""
    head.zero_grad()
    head(torch.from_numpy(row)).sum().backward()
    return sum(float((parameter.grad**2).sum()) for parameter in head.parameters() if parameter.grad is not None)


def random_head(width: int, classes: int, seed: int) -> torch.nn.Module:
    """Return the head, its weights of variance 2 / inputs and its biases zero."""
    rng = np.random.default_rng(seed)
    layers: list[torch.nn.Module] = []
    for inputs, outputs in pairwise((width, 1024, 2048, classes)):
        layer = torch.nn.Linear(inputs, outputs, dtype=torch.float64)
        torch.nn.init.zeros_(layer.bias)
        layer.weight.data = torch.from_numpy(rng.normal(0.0, np.sqrt(2 / inputs), (inputs, outputs)).T.copy())
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.parametrize(("width", "counts"), [(6, [20, 12]), (40, [14, 10, 6])])
def test_equals_the_definition(width: int, counts: list[int]) -> None:
    rng = np.random.default_rng(width)
    labels = np.repeat(np.arange(len(counts)), counts)
    features = rng.normal(size=(len(labels), width)) + 0.8 * np.eye(3, width)[labels]
    left, sizes, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    rows = (left * sizes)[:, sizes > 1e-9]
    for axis in rows.T:  # each points to the first class whose centre is at least half as far out as any
        centres = np.array([axis[labels == label].mean() for label in range(len(counts))])
        axis *= np.sign(next(one for one in centres if abs(one) >= abs(centres).max() / 2))
    rows /= np.sqrt((rows**2).mean())
    decisions = np.stack([LinearSVC(random_state=3).fit(rows, labels == c).decision_function(rows) for c in np.unique(labels)])
    chances = 1 / (1 + np.exp(-decisions))
    chances /= chances.sum(axis=0)
    head = random_head(rows.shape[1], len(counts), seed=3)
    squares = np.array([squared_gradient(row, head) for row in rows])
    speeds = np.array([squares[labels == label].mean() for label in range(len(counts))])
    speeds /= speeds.mean()
    logs = []
    for row, label in enumerate(labels):
        left_over = np.exp(-0.7 * speeds[label])
        logs.append(np.log(1 - left_over + left_over * chances[label, row]))
    ids = [f"{row:03d}" for row in range(len(labels))]
    value = evaluate("lead", features, labels, ids=ids, options={"seed": 3, "time": 0.7}).value
    assert value == pytest.approx(np.mean(logs), rel=1e-6)


def test_time_goes_from_the_start_to_the_label() -> None:
    features, labels = blobs(gap=0.5)
    values = [evaluate("lead", features, labels, options={"time": time}).value for time in (1e-9, 1.0, 50.0)]
    assert -np.log(4) < values[0] < values[1] < values[2]
    assert values[2] == pytest.approx(0, abs=1e-9)


def test_some_rows_stand_for_all_and_classes_keep_their_weight() -> None:
    features, _ = blobs(n=900, gap=0.0)
    labels = np.repeat([0, 1, 2], [500, 350, 50])
    features = features + np.eye(3, 12)[labels]
    whole, third = (evaluate("lead", features, labels, options={"rows": rows}).value for rows in (900, 300))
    assert third != whole
    assert third == pytest.approx(whole, abs=0.05)


@pytest.mark.parametrize(("option", "value"), [("time", 0.0), ("images", 0), ("dimensions", 0), ("rows", 4), ("seed", -1)])
def test_options_out_of_range_are_errors(option: str, value: float) -> None:
    with pytest.raises(ParamsError, match=f"score 'lead' options: {option}: must be greater than .*got {value}"):
        make("lead", {option: value})
