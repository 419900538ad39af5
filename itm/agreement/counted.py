"""Statistics of many resamples at once, each given by how often every model of the pool counts in it."""

from collections.abc import Callable

import numpy as np

from itm.agreement.checks import place
from itm.agreement.correlations import Convention
from itm.core.errors import AgreementError

Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # truth [m], ranks [m], counts [draws, m] -> [draws]


def counted_weighted_tau(
    truth: np.ndarray, scores: np.ndarray, counts: np.ndarray, *, convention: Convention = "scipy"
) -> np.ndarray:
    """Return tau_w [draws] of resamples in which model i occurs `counts[draw, i]` times; NaN where a resample has no order.

    The same value as `weighted_tau` of the repeated rows, without repeating them. Copies of a model stand side by side in a
    ranking, so a model's weight is a difference of harmonic numbers, and they are tied with one another on both sides, so they
    count neither above nor below the line.

    Parameters
    ----------
    truth, scores
        Accuracies and scores [m], finite.
    counts
        Whole numbers >= 0, [draws, m].
    convention
        Whose ranks weigh: "scipy" for the mean of both rankings, "truth" for that of the accuracies alone.
    """
    weights = [_weights(truth, scores, counts)]
    if convention == "scipy":
        weights.append(_weights(scores, truth, counts))
    by_truth, by_scores = _signs(truth), _signs(scores)
    together, by_truth, by_scores = by_truth * by_scores, np.abs(by_truth), np.abs(by_scores)
    agreeing, told_apart, scored_apart = counts @ together, counts @ by_truth, counts @ by_scores
    taus = np.zeros(len(counts))
    with np.errstate(invalid="ignore", divide="ignore"):
        for weight in weights:
            norm = np.sqrt((weight * told_apart).sum(axis=1)) * np.sqrt((weight * scored_apart).sum(axis=1))
            taus += (weight * agreeing).sum(axis=1) / norm / len(weights)
    return np.clip(taus, -1.0, 1.0)


def _weights(first: np.ndarray, then: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the sum of 1 / (1 + r) over a model's copies, ranked by `first` and ties by `then`, [draws, m]."""
    best_first = np.lexsort((then, first))[::-1]
    last = counts[:, best_first].astype(np.intp).cumsum(axis=1)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, last[:, -1].max(initial=0) + 1))])
    weights = np.empty(counts.shape)
    weights[:, best_first] = np.diff(harmonic[last], axis=1, prepend=0.0)
    return weights


def _signs(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(values[:, None] - values[None, :]))


def counted_regret(truth: np.ndarray, ranks: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the regret [draws], in units of `truth` [m], of the pick by strict `ranks` [m] from the models that count."""
    best, reached = _reached(truth, ranks, counts, 1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.isfinite(best), best - reached, np.nan))


def counted_hit(truth: np.ndarray, ranks: np.ndarray, counts: np.ndarray, *, k: int = 1) -> np.ndarray:
    """Return 1 where the best model kept is among the first `k` kept by strict `ranks` [m], else 0, [draws].

    Raises
    ------
    AgreementError
        If `k` is below 1 or above the number of models.
    """
    place(k, len(truth))
    best, reached = _reached(truth, ranks, counts, k)
    return np.where(np.isfinite(best), best == reached, np.nan)


def counted_relative_at_k(truth: np.ndarray, ranks: np.ndarray, counts: np.ndarray, *, k: int = 1) -> np.ndarray:
    """Return Rel@k [draws]: the best accuracy among the first `k` kept by strict `ranks` [m], as a share of the best kept.

    Raises
    ------
    AgreementError
        If `k` is below 1 or above the number of models, or no accuracy is above 0.
    """
    place(k, len(truth))
    if truth.max() <= 0:
        raise AgreementError(f"the best accuracy is {truth.max():g}; a share of it means nothing unless it is above 0.")
    best, reached = _reached(truth, ranks, counts, k)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(best > 0, reached / best, np.nan))


def _reached(truth: np.ndarray, ranks: np.ndarray, counts: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best accuracy of all models kept and of the first `k` of them, both [draws]."""
    best_first = np.argsort(-ranks, kind="stable")
    kept = counts[:, best_first] > 0
    first = kept & (kept.cumsum(axis=1) <= k)
    ordered = truth[best_first]
    return np.where(kept, ordered, -np.inf).max(axis=1), np.where(first, ordered, -np.inf).max(axis=1)


def random_ranker(
    models: int,
    data_sets: int = 1,
    *,
    quantile: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
    convention: Convention = "scipy",
) -> float:
    """Return the quantile of tau_w, the mean over `data_sets`, of orders made by chance.

    Without ties it depends on the number of models alone: the concordant minus the discordant pairs of every model, weighted by
    its rank.

    Raises
    ------
    AgreementError
        If there are fewer than two models.
    """
    if models < 2:
        raise AgreementError(f"models: {models}; an order needs 2.")
    generator = np.random.default_rng(seed)
    places = np.arange(models, dtype=np.int16)
    norm = (models - 1) * (1 / (1 + np.arange(models))).sum()
    means = np.zeros(draws)
    for _ in range(data_sets):
        found = generator.permuted(np.tile(places, (draws, 1)), axis=1)
        # models better in both orders; those worse in both follow from the two ranks
        better = np.stack([(found[:, :i] < found[:, i, None]).sum(axis=1) for i in range(models)], axis=1)
        balance = 2 * (better + (models - 1 - places) - (found - better)) - (models - 1)
        weights = 1 / (1.0 + places)
        if convention == "scipy":
            weights = (weights + 1 / (1.0 + found)) / 2
        means += (weights * balance).sum(axis=1) / norm / data_sets
    return float(np.quantile(means, quantile))
