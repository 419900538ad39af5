"""LogME: the evidence of a Bayesian linear model from embeddings to classes, at its exact maximum.

Source: You, Liu, Wang, Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021, eq. (2).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from itm.scores.contract import Definition, Sample, register

GRID = 81  # points of the coarse search over log(lambda)
REFINEMENTS = 40  # golden-section steps after it: each keeps 0.618 of the bracket
NOISE_FLOOR = 1e-10  # smallest noise variance, as a share of the target's mean square


@dataclass(frozen=True)
class LogmeOptions:
    """LogME has none."""


def logme(sample: Sample, options: LogmeOptions) -> float:  # noqa: ARG001
    """Return the mean over classes of the maximal log evidence per row, in nats.

    For one class with one-hot target t, weights w ~ N(0, I / alpha) and noise variance 1 / beta, write lambda = alpha / beta,
    sigma_k for the eigenvalues of F F^T, x_k for t along their eigenvectors, and r0 for what of |t|^2 lies outside their span.
    With w integrated out, the covariance of t is (I + F F^T / lambda) / beta, so that

        2 E = sum_k log(lambda / (lambda + sigma_k)) + n log beta - beta Q - n log 2 pi,
        Q   = r0 + sum_k x_k^2 lambda / (lambda + sigma_k).

    beta has a closed form, n / Q, and one search over lambda remains. Directions that the data do not reach have sigma_k = 0
    and add nothing, so N < D needs no correction; the published fixed point counts them in alpha's term only, off by
    (D - rank) / 2 log alpha. The noise floor keeps a class that is exactly linear in the features finite.
    """
    features = sample.features.astype(np.float64)
    n = len(features)
    targets = np.eye(sample.classes)[sample.labels]  # [n, C]
    sigma, along = _spectrum(features, targets)
    square = targets.sum(axis=0)  # |t|^2 of a one-hot column
    outside = np.maximum(square - (along**2).sum(axis=0), 0.0)

    def evidence(log_ratio: np.ndarray) -> np.ndarray:
        ratio = np.exp(log_ratio)  # lambda / sigma_max, [C]
        keep = ratio / (ratio + sigma[:, None])  # [k, C]
        misfit = outside + (along**2 * keep).sum(axis=0)
        misfit = np.maximum(misfit, NOISE_FLOOR * square)
        return np.asarray(0.5 * (np.log(keep).sum(axis=0) / n + np.log(n / misfit) - 1.0 - np.log(2 * np.pi)))

    return float(_maximum(evidence, sample.classes).mean())


def _spectrum(features: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the non-zero eigenvalues of F F^T, scaled to a largest of 1, and the targets along their eigenvectors [k, C].

    eigh of the smaller Gram matrix costs min(n, d)^3 where an SVD of F costs several times n d min(n, d); the eigenvalues lost
    to the squared condition number are below 1e-12 of the largest, where they change the evidence by less than its rounding.
    """
    n, d = features.shape
    scale = np.abs(features).max()
    if scale == 0:
        return np.zeros(0), np.zeros((0, targets.shape[1]))
    features = features / scale
    if n >= d:
        sigma, vectors = scipy.linalg.eigh(features.T @ features)
        kept = sigma > sigma[-1] * 1e-12
        along = vectors[:, kept].T @ (features.T @ targets) / np.sqrt(sigma[kept])[:, None]
    else:
        sigma, vectors = scipy.linalg.eigh(features @ features.T)
        kept = sigma > sigma[-1] * 1e-12
        along = vectors[:, kept].T @ targets
    return sigma[kept] / sigma[-1], along


def _maximum(evidence: Callable[[np.ndarray], np.ndarray], classes: int) -> np.ndarray:
    """Return the largest evidence of each class over log(lambda / sigma_max) in [-30, 30]: a grid, then golden sections.

    At the upper end the model ignores the features, so the maximum is never worse than that.
    """
    grid = np.linspace(-30.0, 30.0, GRID)
    best = np.argmax([evidence(np.full(classes, point)) for point in grid], axis=0)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, GRID - 1)]
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(REFINEMENTS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        left_is_better = evidence(left) > evidence(right)
        high, low = np.where(left_is_better, right, high), np.where(left_is_better, low, left)
    return np.asarray(evidence((low + high) / 2))


LOGME = register(
    Definition(
        name="logme",
        function=logme,
        options=LogmeOptions(),
        sampling="subset",
        summary="Evidence of a Bayesian linear model from the embeddings to the classes.",
        meaning="How probable the labels are under a linear model, averaged over its weights; in nats per image and class. "
        "Differences matter, the zero does not.",
        paper="You et al., ICML 2021",
    )
)
