"""Metrics against scikit-learn, and their names, directions and bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from itm.kinds import KINDS, METRICS
from itm.kinds.metrics import accuracy, balanced_accuracy

classes = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40).map(np.array)


@given(pairs=classes)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_accuracies_are_those_of_scikit_learn(pairs: np.ndarray) -> None:
    predicted, actual = pairs.T
    assert accuracy(predicted, actual) == pytest.approx(accuracy_score(actual, predicted))
    assert balanced_accuracy(predicted, actual) == pytest.approx(balanced_accuracy_score(actual, predicted))


def test_classes_without_rows_do_not_count() -> None:
    assert balanced_accuracy(np.array([0, 0, 5]), np.array([0, 0, 3])) == 0.5


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_the_main_metric_of_a_kind_is_the_first(kind) -> None:
    assert kind.main_metric is kind.metrics[0]
    assert all(METRICS[metric.name] is metric and metric.lowest < metric.highest for metric in kind.metrics)
