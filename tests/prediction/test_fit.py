"""Fitting finds the parameters that measurements were drawn with."""

from dataclasses import replace

import numpy as np
import pytest

from itm.prediction.fit import Curves, Measured, fit_curves, fit_prior
from itm.prediction.parameters import CurveParameters, PriorParameters
from tests.prediction.fitted import CURVES, PRIOR, world


@pytest.fixture(scope="module")
def drawn() -> tuple[Measured, Curves]:
    return world(seed=0)


@pytest.fixture(scope="module")
def prior(drawn: tuple[Measured, Curves]) -> PriorParameters:
    return fit_prior(drawn[0])


@pytest.fixture(scope="module")
def curves(drawn: tuple[Measured, Curves], prior: PriorParameters) -> CurveParameters:
    return fit_curves(*drawn, prior)


def test_slopes_and_variances_are_found(prior: PriorParameters) -> None:
    assert prior.slopes == pytest.approx(PRIOR.slopes, abs=0.08)
    assert prior.rest_variance == pytest.approx(PRIOR.rest_variance, rel=0.3)
    assert prior.model_variance == pytest.approx(PRIOR.model_variance, abs=0.02)


def test_every_model_has_a_record(drawn: tuple[Measured, Curves], prior: PriorParameters) -> None:
    assert set(prior.records) == set(drawn[0].weights)
    assert all(0 < variance < prior.model_variance for _, variance in prior.records.values())


def test_a_model_that_is_better_everywhere_has_a_good_record(drawn: tuple[Measured, Curves]) -> None:
    measured = drawn[0]
    better = replace(measured, final=measured.final + np.where(measured.weights == "3", 1.0, 0.0))
    assert max((fitted := fit_prior(better)).records, key=lambda name: fitted.records[name][0]) == "3"


def test_a_feature_that_is_unknown_is_fitted_around(drawn: tuple[Measured, Curves]) -> None:
    features = drawn[0].features.copy()
    features[::7, 1] = np.nan
    assert fit_prior(replace(drawn[0], features=features)).slopes == pytest.approx(PRIOR.slopes, abs=0.1)


def test_what_results_show_is_found(curves: CurveParameters) -> None:
    assert np.array(curves.shows)[:2] == pytest.approx(np.array(CURVES.shows)[:2], abs=0.15)  # the last rate is noisy
    assert np.array(curves.noise) == pytest.approx(np.array(CURVES.noise), rel=0.25)


def test_how_alike_noise_is_is_found(curves: CurveParameters) -> None:
    found = np.array(curves.alike)
    assert found == pytest.approx(np.array(CURVES.alike), abs=0.25)
    assert np.linalg.eigvalsh(found).min() > 0
    assert np.diag(found) == pytest.approx(np.ones(15))


def test_a_rate_that_was_not_trained_everywhere_is_fitted_on_the_rest(
    drawn: tuple[Measured, Curves], prior: PriorParameters
) -> None:
    measured, own = drawn
    results = own.results.copy()
    results[::3, 0] = np.nan
    fitted = fit_curves(measured, replace(own, results=results), prior)
    assert np.array(fitted.shows)[:2] == pytest.approx(np.array(CURVES.shows)[:2], abs=0.2)
