"""Similarity of models, and of data sets, by what is known of them before any training."""

from collections.abc import Mapping, Sequence

import numpy as np

Facts = Mapping[str, float | str]

LENGTH = 0.5  # of natural logarithms: numbers that differ by a factor of 1.6 have a similarity of 0.61


def similarity(facts: Sequence[Facts]) -> np.ndarray:
    """Return a positive semi-definite matrix of similarities, 1 on the diagonal and 0 to 1 elsewhere.

    Equal texts have the similarity 1 and different ones 0. Positive numbers are compared on a logarithmic scale. The result is
    half the mean over facts and half their product, so models that agree on everything are closer than the sum of the parts.
    A fact that is unknown is similar to nothing else.

    Parameters
    ----------
    facts
        Facts of each model or data set by name. NaN is unknown.
    """
    names = sorted({name for own in facts for name in own})
    if not names:
        return np.eye(len(facts))
    parts = np.stack([_one_fact([own.get(name) for own in facts]) for name in names])
    return np.asarray((parts.mean(axis=0) + parts.prod(axis=0)) / 2)


def _one_fact(values: Sequence[float | str | None]) -> np.ndarray:
    texts = np.array([value if isinstance(value, str) else "" for value in values])
    numbers = np.array([np.nan if isinstance(value, str) or value is None else float(value) for value in values])
    logs = np.log(np.where(numbers > 0, numbers, np.nan))
    equal = (texts[:, None] == texts[None, :]) & (texts != "")[:, None]
    near = np.nan_to_num(np.exp(-0.5 * ((logs[:, None] - logs[None, :]) / LENGTH) ** 2))
    part = np.where(equal, 1.0, near)
    np.fill_diagonal(part, 1.0)
    return part
