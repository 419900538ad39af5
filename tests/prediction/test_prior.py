"""What is expected of models before any fine-tuning."""

import math

import numpy as np
import pytest

from itm.prediction.prior import Known, expect, feature_values
from itm.prediction.scale import to_angle
from tests.prediction.fitted import PRIOR

FACTS = {"parameters": 1e6, "batch_norm": 0.0}


def test_a_better_probe_makes_a_higher_expectation() -> None:
    low, high = (Known(name, None, FACTS | {"linear_probe": probe}) for name, probe in (("low", 0.4), ("high", 0.9)))
    belief = expect([low, high], PRIOR)
    assert belief.models == ("low", "high")
    assert belief.mean[1] - belief.mean[0] == pytest.approx(to_angle(0.9) - to_angle(0.4))


def test_an_unknown_fact_is_as_good_as_the_average() -> None:
    unknown = expect([Known("a", None, {"linear_probe": 0.7, "parameters": math.nan})], PRIOR)
    average = expect([Known("a", None, {"linear_probe": 0.7, "parameters": 1e6, "batch_norm": 0.5})], PRIOR)
    assert unknown.mean == pytest.approx(average.mean)


def test_features_beyond_what_was_measured_do_not_extrapolate() -> None:
    far, farther = (expect([Known("a", None, {"parameters": count})], PRIOR).mean[0] for count in (1e9, 1e12))
    assert far == farther


def test_a_record_moves_the_expectation_and_narrows_it() -> None:
    features = FACTS | {"linear_probe": 0.7}
    belief = expect([Known("new", "unknown", features), Known("old", "known", features)], PRIOR)
    assert belief.mean[1] - belief.mean[0] == pytest.approx(0.08)
    assert belief.covariance[1, 1] < belief.covariance[0, 0]


def test_models_share_what_is_unknown_of_the_data_set() -> None:
    belief = expect([Known(name, None, FACTS) for name in "ab"], PRIOR)
    assert belief.covariance[0, 1] == PRIOR.set_variance


def test_features_are_on_the_scale_of_the_fit() -> None:
    values = feature_values([Known("a", None, {"linear_probe": 0.5, "parameters": 1e6})], PRIOR.features)
    assert values[0, :2] == pytest.approx([np.pi / 4, 6.0])
    assert np.isnan(values[0, 2])
