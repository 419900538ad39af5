"""What validation results say of final accuracies."""

import numpy as np
import pytest

from itm.prediction.curve_model import CurveModel, results
from itm.prediction.observations import Observation
from itm.prediction.posterior import Posterior
from itm.prediction.prior import Belief
from itm.prediction.scale import from_angle, to_angle
from tests.prediction.fitted import CURVES, RATES

BELIEF = Belief(("a", "b"), np.array([1.0, 1.05]), np.array([[0.012, 0.003], [0.003, 0.012]]))
CURVE_MODEL = CurveModel(CURVES)


def seen(model: str, accuracy: float, share: float = 1.0, rate: int = 1, seed: int = 0, images: int = 200) -> Observation:
    return Observation(model, RATES[rate], seed, share, accuracy, images)


def posterior(*observed: Observation) -> Posterior:
    return Posterior(BELIEF, CURVE_MODEL, RATES, observed)


def test_without_results_it_is_the_belief() -> None:
    found = posterior()
    assert found.mean == pytest.approx(BELIEF.mean)
    assert found.covariance == pytest.approx(BELIEF.covariance)


def test_one_result_is_weighted_by_its_variance() -> None:
    own = seen("a", 0.8)
    gain = 0.012 / (0.012 + 0.025**2 + results([own], BELIEF.models).sampling[0])
    surprise = to_angle((0.8 * 200 + 0.5) / 201) - 1.0
    assert posterior(own).mean[0] == pytest.approx(1.0 + gain * surprise)
    assert posterior(own).covariance[0, 0] == pytest.approx(0.012 * (1 - gain))


def test_a_good_result_of_one_model_raises_the_other_a_little() -> None:
    rises = posterior(seen("a", 0.95)).mean - BELIEF.mean
    assert rises[0] > rises[1] > 0


def test_an_early_result_says_less_than_a_late_one() -> None:
    early, late = (posterior(seen("a", 0.8, share)).covariance[0, 0] for share in (1 / 8, 1.0))
    assert early > late


def test_few_images_say_less_than_many() -> None:
    few, many = (posterior(seen("a", 0.9, images=images)).covariance[0, 0] for images in (60, 6000))
    assert few > many


def test_a_second_seed_adds_less_than_independent_images_would() -> None:
    one, two = posterior(seen("a", 0.9)), posterior(seen("a", 0.9), seen("a", 0.9, seed=1))
    assert one.covariance[0, 0] > two.covariance[0, 0] > one.covariance[0, 0] / 2


def test_results_of_one_model_are_wrong_on_the_same_images() -> None:
    drawn = np.random.default_rng(0)
    grid = [seen("a", float(drawn.uniform(0.7, 0.9)), share, rate) for share in (0.125, 0.5, 1.0) for rate in range(3)]
    arrays = results(grid, BELIEF.models)
    covariance = CURVE_MODEL.noise(arrays, arrays)
    assert np.diag(covariance) == pytest.approx(CURVE_MODEL.variance(arrays))
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_the_same_result_twice_is_no_error() -> None:
    assert np.isfinite(posterior(seen("a", 0.9), seen("a", 0.9)).mean).all()


def test_drawn_accuracies_have_the_mean_and_the_interval() -> None:
    found = posterior(seen("b", 0.7))
    drawn, (low, high) = found.drawn(4000, seed=0), found.interval(0.8)
    assert ((drawn >= low) & (drawn <= high)).mean(axis=0) == pytest.approx([0.8, 0.8], abs=0.03)
    assert np.median(drawn, axis=0) == pytest.approx(from_angle(found.mean), abs=0.01)


def test_between_measured_rates_the_relation_is_interpolated() -> None:
    at = [Observation("a", rate, 0, 1.0, 0.8, 200) for rate in (5e-5, 10**-3.8, 5e-4)]
    low, middle, high = CURVE_MODEL.relation(results(at, BELIEF.models), BELIEF.mean)[1]
    assert low < middle < high


def test_the_gain_of_a_result_is_the_mean_rise_of_the_highest_end() -> None:
    found = posterior(seen("a", 0.75, share=0.5))
    possible = results([seen("b", 0.77, share=0.5)], BELIEF.models)
    rises = []
    generator = np.random.default_rng(1)
    # results are drawn as the posterior expects them: final accuracies, then the noise given that of the other result
    for _ in range(400):
        result = _drawn_result(found, generator)
        rises.append(posterior(seen("a", 0.75, share=0.5), result).end_means.max() - found.end_means.max())
    assert found.gains(possible)[0] == pytest.approx(np.mean(rises), abs=4 * np.std(rises) / 20)


def _drawn_result(found: Posterior, generator: np.random.Generator) -> Observation:
    final = generator.multivariate_normal(found.mean, found.covariance)[1]
    images = 10**6
    sampling = results([seen("b", 0.77)], "ab").sampling[0]
    value = -0.05 + 1.05 + 0.7 * (final - 1.05) + generator.normal(0, np.sqrt(0.05**2 + sampling))
    return seen("b", float(from_angle(value)), share=0.5, images=images)


def test_there_is_no_gain_where_a_result_cannot_change_the_pick() -> None:
    hopeless = Belief(("a", "b"), np.array([1.5, 0.1]), np.eye(2) * 0.0005)
    found = Posterior(hopeless, CURVE_MODEL, RATES, [])
    assert found.gains(results([seen("b", 0.05)], ("a", "b")))[0] == pytest.approx(0.0, abs=1e-9)


def test_a_run_that_is_better_than_expected_of_its_model_counts() -> None:
    found = posterior(seen("a", 0.98, rate=2, images=2000))
    mean, covariance = found.outcome
    assert mean[0] == found.end_means[0, 2] > found.mean[0]
    assert mean[1] == found.mean[1]
    assert np.linalg.eigvalsh(covariance).min() > 0
    assert covariance[0, 0] < BELIEF.covariance[0, 0]


def test_a_rate_that_is_usually_too_high_is_no_hope_for_more_than_the_best_rate_reaches() -> None:
    sure = Belief(("a", "b"), np.array([1.0, 0.9]), np.eye(2) * 1e-6)
    found = Posterior(sure, CURVE_MODEL, RATES, [])
    assert CURVE_MODEL.variance(found.ends)[2] > 0.03
    assert found.gains(results([seen("a", 0.5, rate=2)], ("a", "b")))[0] < 1e-3
