"""Statistics of many resamples at once.

A resample is given by counts: the number of times that each model of the pool occurs in it.
"""

from collections.abc import Callable

import numpy as np

from itm.core.errors import AgreementError

Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # truth [m], ranks [m], counts [r, m] -> [r]


def resampled_weighted_tau(truth: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return tau_w of each resample in SciPy's convention, [resamples]; NaN where a resample has no order.

    The value equals `weighted_tau` of the repeated rows of `truth` [m] and `scores` [m]. Copies of a model are adjacent in a
    ranking, so the sum of their weights is a difference of harmonic numbers. They are tied with each other in both arrays, so
    their pairs do not contribute.
    """
    truth_signs, score_signs = _signs(truth), _signs(scores)
    agreeing = counts @ (truth_signs * score_signs)
    untied_in_truth, untied_in_scores = counts @ np.abs(truth_signs), counts @ np.abs(score_signs)
    taus = np.zeros(len(counts))
    with np.errstate(invalid="ignore", divide="ignore"):
        for weight in (_weights(truth, scores, counts), _weights(scores, truth, counts)):
            norm = np.sqrt((weight * untied_in_truth).sum(axis=1)) * np.sqrt((weight * untied_in_scores).sum(axis=1))
            taus += (weight * agreeing).sum(axis=1) / norm / 2
    return np.clip(taus, -1.0, 1.0)


def resampled_regret(truth: np.ndarray, ranks: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the regret of the highest rank in each resample, [resamples], in units of `truth` [m]. Ranks [m] are strict."""
    best, selected = _best_accuracies(truth, ranks, counts, 1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.isfinite(best), best - selected, np.nan))


def resampled_hit(truth: np.ndarray, ranks: np.ndarray, counts: np.ndarray, *, k: int = 1) -> np.ndarray:
    """Return 1 where the best model of a resample is among its first `k` by strict `ranks` [m], else 0, [resamples]."""
    _check_k(k, len(truth))
    best, selected = _best_accuracies(truth, ranks, counts, k)
    return np.where(np.isfinite(best), best == selected, np.nan)


def resampled_relative_at_k(truth: np.ndarray, ranks: np.ndarray, counts: np.ndarray, *, k: int = 1) -> np.ndarray:
    """Return Rel@k, [resamples]: the best accuracy of the first `k` models by strict `ranks` [m] divided by the best of all."""
    _check_k(k, len(truth))
    if truth.max() <= 0:
        raise AgreementError(f"the best accuracy is {truth.max():g}; a share of it is meaningless unless it is above 0.")
    best, selected = _best_accuracies(truth, ranks, counts, k)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(best > 0, selected / best, np.nan))


def chance_level(models: int, data_sets: int = 1, *, orders: int = 10_000, seed: int = 0) -> float:
    """Return the tau_w that 5 % of random `orders` reach, as the mean over `data_sets`.

    Without ties, tau_w is the sum over models of the weight of the rank times the number of concordant minus discordant pairs.
    It does not depend on the accuracies.
    """
    if models < 2:
        raise AgreementError(f"{models} models; an order needs at least 2.")
    generator = np.random.default_rng(seed)
    true_ranks = np.arange(models, dtype=np.int16)
    norm = (models - 1) * (1 / (1 + np.arange(models))).sum()
    means = np.zeros(orders)
    for _ in range(data_sets):
        ranks = generator.permuted(np.tile(true_ranks, (orders, 1)), axis=1)
        # number of models that are better in both orders; the number of those worse in both follows from the two ranks
        better = np.stack([(ranks[:, :i] < ranks[:, i, None]).sum(axis=1) for i in range(models)], axis=1)
        balance = 2 * (better + (models - 1 - true_ranks) - (ranks - better)) - (models - 1)
        weights = (1 / (1.0 + true_ranks) + 1 / (1.0 + ranks)) / 2
        means += (weights * balance).sum(axis=1) / norm / data_sets
    return float(np.quantile(means, 0.95))


def _check_k(k: int, models: int) -> None:
    if not 1 <= k <= models:
        raise AgreementError(f"k is {k} for a pool of {models} models; it must be 1 to {models}.")


def _weights(values: np.ndarray, tie_breaker: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the sum of 1 / (1 + rank) over the copies of each model, [resamples, m]."""
    best_first = np.lexsort((tie_breaker, values))[::-1]
    ends = counts[:, best_first].astype(np.intp).cumsum(axis=1)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, ends[:, -1].max(initial=0) + 1))])
    weights = np.empty(counts.shape)
    weights[:, best_first] = np.diff(harmonic[ends], axis=1, prepend=0.0)
    return weights


def _signs(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(values[:, None] - values[None, :]))


def _best_accuracies(truth: np.ndarray, ranks: np.ndarray, counts: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best accuracy of all models of each resample, and of its first `k` models, both [resamples]."""
    best_first = np.argsort(-ranks, kind="stable")
    occurs = counts[:, best_first] > 0
    first = occurs & (occurs.cumsum(axis=1) <= k)
    accuracies = truth[best_first]
    return np.where(occurs, accuracies, -np.inf).max(axis=1), np.where(first, accuracies, -np.inf).max(axis=1)
