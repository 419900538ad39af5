"""Fit the parameters of predictions on pairs of models and data sets that were fine-tuned at every learning rate."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize

from itm.prediction.curve_model import HARD_IMAGES, SAME_IMAGES
from itm.prediction.parameters import CurveParameters, PriorParameters
from itm.prediction.prior import FEATURES, standardised
from itm.prediction.scale import sampling_variance

Array = np.ndarray

SLOPE_PRECISION = 1.0  # of the prior of slopes, N(0, 1): they are per standard deviation of a feature
SHOWN_PRECISION = 0.25  # the same of what a cell shows of a surprise and follows of the prior, around 1/2 and 1
LEAST_NOISE = 0.0125  # of an angle
FURTHEST = 2.5  # standard deviations at which residuals are cut off
MEDIAN_TO_DEVIATION = 1.4826  # of the absolute values of a normal variable
LEAST_VARIANCE = 1e-5
LEAST_EIGENVALUE = 0.02  # of a matrix of correlations
BOUNDS = (0.0, 0.98)  # of shares


@dataclass(frozen=True)
class Measured:
    """Fine-tuned pairs: features [p, f], final angles [p], names of data sets and hashes of weights [p]."""

    features: Array
    final: Array
    data: Array
    weights: Array


@dataclass(frozen=True)
class Curves:
    """Angles of validation results [p, rates, shares] of the first seed, with the images [p] that they are measured on.

    `second` has those of the second seed; what was not trained is NaN.
    """

    rates: tuple[float, ...]
    shares: tuple[float, ...]
    results: Array
    second: Array
    images: Array


def fit_prior(measured: Measured) -> PriorParameters:
    """Fit the prior by maximum marginal likelihood of a mixed model: slopes are fixed, data sets and models are random."""
    centres, scales = np.nanmean(measured.features, axis=0), np.nanstd(measured.features, axis=0)
    scales = np.where(scales > 0, scales, 1.0)
    design = np.column_stack([np.ones(len(measured.final)), standardised(measured.features, centres, scales)])
    same_set = measured.data[:, None] == measured.data[None, :]
    same_model = measured.weights[:, None] == measured.weights[None, :]
    precision = np.diag([0.0] + [SLOPE_PRECISION] * (design.shape[1] - 1))

    def fitted(variances: Array) -> tuple[Array, Array, float]:
        total = variances[0] * same_set + variances[1] * same_model + variances[2] * np.eye(len(design))
        factor = linalg.cho_factor(total, lower=True)
        normal = design.T @ linalg.cho_solve(factor, design) + precision
        slopes = linalg.solve(normal, design.T @ linalg.cho_solve(factor, measured.final), assume_a="pos")
        left = measured.final - design @ slopes
        whitened = linalg.cho_solve(factor, left)
        value = 0.5 * left @ whitened + np.log(np.diag(factor[0])).sum() + 0.5 * np.linalg.slogdet(normal)[1]
        return slopes, whitened, float(value + 0.5 * slopes @ precision @ slopes)

    start = np.log(np.array([0.006, 0.002, 0.01]))
    found = optimize.minimize(
        lambda logs: fitted(np.exp(logs))[2], start, method="Nelder-Mead", options={"xatol": 0.05, "fatol": 0.02}
    )
    variances = np.maximum(np.exp(found.x), LEAST_VARIANCE)
    slopes, whitened, _ = fitted(variances)
    of_set, of_model, rest = (float(value) for value in variances)
    return PriorParameters(
        features=FEATURES,
        centres=tuple(centres),
        scales=tuple(scales),
        intercept=float(slopes[0]),
        slopes=tuple(slopes[1:]),
        set_variance=of_set,
        model_variance=of_model,
        rest_variance=rest,
        records=_records(measured.weights, of_model * whitened, of_model, rest),
    )


def _records(weights: Array, shares: Array, variance: float, rest: float) -> dict[str, tuple[float, float]]:
    """Return the best linear unbiased prediction of what each model has in common, and its variance.

    The variance is that of a mean of independent pairs: what their data sets have in common is small beside it.
    """
    found = {}
    for name in sorted(set(weights.tolist())):
        own = weights == name
        found[name] = float(shares[own].sum()), float(1 / (1 / variance + own.sum() / rest))
    return found


def prior_means(measured: Measured, parameters: PriorParameters) -> Array:
    """Return the expected final angles [p] from features alone, without the record of the model."""
    values = standardised(measured.features, parameters.centres, parameters.scales)
    means: Array = parameters.intercept + values @ np.asarray(parameters.slopes)
    return means


def fit_curves(measured: Measured, curves: Curves, prior: PriorParameters) -> CurveParameters:
    """Fit one linear relation per learning rate and share of the steps, and how alike the noise of two of them is."""
    expected = prior_means(measured, prior)
    surprise = measured.final - expected
    shape = curves.results.shape[1:]
    relations = np.zeros((3, *shape))
    left = np.full(curves.results.shape, np.nan)
    again = np.full(curves.results.shape, np.nan)
    for rate in range(shape[0]):
        for share in range(shape[1]):
            seen = curves.results[:, rate, share]
            known = np.isfinite(seen)
            relation = _relation(seen[known], expected[known], surprise[known])
            relations[:, rate, share] = relation
            predicted = relation[0] + relation[1] * expected + relation[2] * surprise
            left[:, rate, share], again[:, rate, share] = seen - predicted, curves.second[:, rate, share] - predicted
    sampling = np.broadcast_to(sampling_variance(curves.images)[:, None, None], curves.results.shape)
    # runs that collapse have long tails, which `Posterior` takes care of: they do not make the noise of the others larger
    reach = FURTHEST * MEDIAN_TO_DEVIATION * np.nanmedian(np.abs(left), axis=0)
    left, again = np.clip(left, -reach, reach), np.clip(again, -reach, reach)
    noise = np.sqrt(np.maximum(np.nanmean(left**2 - sampling, axis=0), LEAST_NOISE**2))
    shared = _shared_by_models(left, noise, sampling, measured.data)
    # offsets were fitted on S sets: what models share was underestimated by (S - 1) / S, and is added once more by 1 / S
    sets = len(set(measured.data.tolist()))
    wider = 1 + shared * ((sets + 1) / (sets - 1) - 1) if sets > 1 else 1.0
    common = SAME_IMAGES * sampling  # what the images of a model have in common is no property of the course of training
    return CurveParameters(
        rates=curves.rates,
        shares=curves.shares,
        offsets=_rows(relations[0]),
        follows=_rows(relations[1]),
        shows=_rows(relations[2]),
        noise=_rows(noise * np.sqrt(wider)),
        alike=_rows(_alike(left.reshape(len(left), -1), common.reshape(len(left), -1), noise.ravel())),
        shared_by_seeds=_share((left * again - common)[:, :, -1], (noise**2)[:, -1]),
        shared_by_models=min(1 - (1 - shared) / wider, BOUNDS[1]),
    )


def _relation(seen: Array, expected: Array, surprise: Array) -> Array:
    """Return offset, slope by the prior mean and slope by the surprise, by ridge regression around 0, 1 and 1/2."""
    design = np.column_stack([np.ones_like(seen), expected, surprise])
    usual = np.array([0.0, 1.0, 0.5])
    precision = np.diag([0.0, SHOWN_PRECISION, SHOWN_PRECISION])
    correction = np.linalg.solve(design.T @ design + precision, design.T @ (seen - design @ usual))
    return np.asarray(usual + correction)


def _alike(left: Array, common: Array, noise: Array) -> Array:
    """Return the correlations [cells, cells] of noise, from what is left [p, cells] of results beside their relation.

    `common` are the variances that two results of a pair share because of their images.
    """
    products = left[:, :, None] * left[:, None, :] - np.sqrt(common[:, :, None] * common[:, None, :])
    found = np.clip(np.nanmean(products, axis=0) / (noise[:, None] * noise[None, :]), -BOUNDS[1], BOUNDS[1])
    np.fill_diagonal(found, 1.0)
    values, vectors = np.linalg.eigh(found)  # of pairs with gaps, and less sampling, it need not be positive definite
    whole = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(whole))
    return np.asarray(whole / (scale[:, None] * scale[None, :]))


def _share(products: Array, scale: Array) -> float:
    """Return the sum of products [p, ...] over that of `scale` [...], for all products that are known: a correlation."""
    known = np.isfinite(products)
    total = np.broadcast_to(scale, products.shape)[known].sum()
    return float(np.clip(products[known].sum() / total, *BOUNDS)) if known.any() else 0.0


def _shared_by_models(left: Array, noise: Array, sampling: Array, data: Array) -> float:
    """Return the correlation of two models of a data set: the mean of the products of all pairs of different models."""
    products = []
    for name in sorted(set(data.tolist())):
        own = left[data == name]
        count = np.isfinite(own).sum(axis=0)
        total, squares = np.nansum(own, axis=0), np.nansum(own**2, axis=0)
        mean = (total**2 - squares) / np.maximum(count * (count - 1), 1)
        common = HARD_IMAGES * np.nanmean(sampling[data == name], axis=0)
        products.append(np.where(count > 1, mean - common, np.nan))
    return _share(np.array(products) / noise**2, np.ones_like(noise))


def _rows(table: Array) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in table)
