"""What results on other data sets change."""

import numpy as np
import pytest

from itm.prediction.history import PastResult, with_history
from itm.prediction.prior import Known, expect
from itm.prediction.scale import sampling_variance, to_angle
from tests.prediction.fitted import PRIOR

FACTS = {"parameters": 1e6, "batch_norm": 0.5, "linear_probe": 0.7}
KNOWN = Known("one", "known", FACTS)
NEW = Known("two", "new", FACTS)


def result(data: str, known: Known, accuracy: float) -> PastResult:
    return PastResult(data, known, accuracy, 200)


def test_a_model_that_did_better_than_expected_is_expected_to_do_so_again() -> None:
    updated = with_history(PRIOR, [result("a", NEW, 0.95), result("a", KNOWN, 0.7)])
    before, after = (expect([NEW, KNOWN, Known("three", "other", FACTS)], parameters) for parameters in (PRIOR, updated))
    assert after.mean[0] > before.mean[0]
    assert after.covariance[0, 0] < before.covariance[0, 0]
    assert after.mean[2] == before.mean[2]


def test_what_all_models_of_a_data_set_share_says_less_of_each() -> None:
    alone = with_history(PRIOR, [result("a", NEW, 0.95)]).records["new"][0]
    all_good = with_history(PRIOR, [result("a", NEW, 0.95), result("a", KNOWN, 0.97)]).records["new"][0]
    assert all_good < alone


def test_records_are_those_of_the_joint_normal_distribution() -> None:
    past = [result("a", NEW, 0.8), result("a", KNOWN, 0.9), result("b", NEW, 0.6)]
    records = with_history(PRIOR, past).records
    # effects of both models, of both data sets, and the rest of each result, stacked as one vector of independent variables
    old, prior_variance = PRIOR.records["known"], PRIOR.model_variance
    accuracies = np.array([own.accuracy for own in past])
    rest = PRIOR.rest_variance + sampling_variance(200)
    variances = np.diag([prior_variance, old[1], PRIOR.set_variance, PRIOR.set_variance, *[rest] * 3])
    means = np.array([0.0, old[0], 0, 0, 0, 0, 0])
    design = np.column_stack([[[1, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]], np.eye(3)])
    features = expect([Known("x", None, FACTS)], PRIOR).mean[0]
    total = design @ variances @ design.T
    found = means + variances @ design.T @ np.linalg.inv(total) @ (to_angle(accuracies) - features - design @ means)
    left = variances - variances @ design.T @ np.linalg.inv(total) @ design @ variances
    assert records["new"] == pytest.approx((found[0], left[0, 0]))
    assert records["known"] == pytest.approx((found[1], left[1, 1]))


def test_without_results_nothing_changes() -> None:
    assert with_history(PRIOR, []) == PRIOR
    assert with_history(PRIOR, [result("a", Known("no file", None, FACTS), 0.5)]) == PRIOR
