"""Discriminants from dense matrices, by other routes than those of the library."""

import numpy as np
import pytest
import scipy.linalg
import scipy.special
from sklearn.covariance import ledoit_wolf_shrinkage

SHAPES = [
    pytest.param(200, 12, 4, id="more rows than features"),
    pytest.param(60, 90, 5, id="fewer rows than features"),
    pytest.param(200, 6, 30, id="more classes than features"),
    pytest.param(40, 60, 20, id="few rows of many classes"),
]


def within(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the covariance within classes, class by class."""
    scatter = np.zeros((features.shape[1],) * 2)
    for number in np.unique(labels):
        residuals = features[labels == number] - features[labels == number].mean(axis=0)
        scatter += residuals.T @ residuals / len(features)
    return scatter


def posteriors(features: np.ndarray, labels: np.ndarray, shrinkage: float) -> np.ndarray:
    """Return the posteriors [n, C] of a discriminant made of all eigenvectors of the shrunk scatter matrices."""
    shares = np.bincount(labels) / len(labels)
    means = np.array([features[labels == number].mean(axis=0) for number in range(len(shares))])
    total = np.cov(features.T, bias=True).reshape(len(features.T), -1)
    inside = within(features, labels)
    target = np.trace(inside) / len(inside) * np.eye(len(inside))
    shrunk = (1 - shrinkage) * inside + shrinkage * target
    _, axes = scipy.linalg.eigh(total - inside, shrunk)
    weights = means @ axes @ axes.T
    return np.asarray(scipy.special.softmax(features @ weights.T - (weights * means).sum(axis=1) / 2 + np.log(shares), axis=1))


def fitting(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the Ledoit-Wolf intensity of the residuals within classes, from scikit-learn."""
    means = np.array([features[labels == number].mean(axis=0) for number in range(labels.max() + 1)])
    return float(ledoit_wolf_shrinkage(features - means[labels], assume_centered=True))


def narrowed(features: np.ndarray) -> np.ndarray:
    """Return the rows minus their mean in an orthonormal basis of their span, the widest direction first."""
    left, lengths, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    kept = lengths > 1e-9 * lengths[0]
    return np.asarray(left[:, kept] * lengths[kept])


def true_class(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean posterior of the true class."""
    return float(probabilities[np.arange(len(labels)), labels].mean())


def slow_lda(features: np.ndarray, labels: np.ndarray) -> float:
    """Return `lda` from dense matrices."""
    rows = narrowed(features.astype(np.float64))
    return true_class(posteriors(rows, labels, fitting(rows, labels)), labels)


def two_stages(features: np.ndarray, labels: np.ndarray, shrinkage: float) -> float:
    """Return SFDA with rows mixed one by one, both stages shrunk by the same intensity."""
    first = posteriors(features, labels, shrinkage)
    means = [features[labels == number].mean(axis=0) for number in range(labels.max() + 1)]
    mixed = features.copy()
    for row, own in enumerate(labels):
        softened = np.exp(first[row]) / np.exp(first[row]).sum()
        others = np.mean([mean for number, mean in enumerate(means) if number != own], axis=0)
        mixed[row] = softened[own] * features[row] + (1 - softened[own]) * others
    return true_class(posteriors(mixed, labels, shrinkage), labels)
