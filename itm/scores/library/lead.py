"""LEAD: the class probabilities that training would reach, from where they start and how fast each class moves.

Source: Hu, Li, Tang, Liu, Hu, Duan, "LEAD: Exploring Logit Space Evolution for Model Selection", CVPR 2024.
"""

import warnings
from itertools import pairwise

import numpy as np
from pydantic import Field
from scipy.special import log_expit, logsumexp
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.principal import balanced, places_in_class, principal
from itm.scores.registry import register
from itm.scores.sample import Sample

HIDDEN = (1024, 2048)  # widths of the head's hidden layers
BATCH = 1024  # rows that go through the head at once


class LeadOptions(Options):
    """The training `time`, and what is computed.

    The head and the support vector machines see the first principal `dimensions` of about `rows` rows at most. The speed of a
    class is the mean over at most `images` of its rows.
    """

    time: float = Field(1.0, gt=0, allow_inf_nan=False)
    images: int = Field(64, ge=1)
    dimensions: int = Field(128, ge=1)
    rows: int = Field(10_000, ge=5)
    seed: int = Field(0, ge=0)


@register
class Lead(StatisticScore[LeadOptions]):
    """The mean log probability of the true class after training for a time t under gradient flow."""

    options_type = LeadOptions
    info = ScoreInfo(
        name="lead",
        summary="Log probability of the classes after training, predicted from a linear start and the speed of each class.",
        meaning="How sure a head trained for a while would be of the images' own classes, in nats per image: 0 is perfect. It "
        "is fitted to the images it is computed for, so values are too good where images are few for the width of the model.",
        highest=0.0,
        paper="Hu et al., CVPR 2024",
        cost="a support vector machine per class",
    )

    def value(self, sample: Sample) -> float:
        """Return the mean over rows of log F_t(y_i).

        Under gradient flow with a constant kernel the output for a row of class c moves from its start F_0 to its label:

            F_t = (1 - exp(-eta lambda_c t)) onehot(c) + exp(-eta lambda_c t) F_0,

        where lambda_c is the mean squared gradient of the sum of the logits of a random head on the embeddings (`_speeds`). The
        scale of lambda depends on the head, and the paper leaves the scale of eta lambda open. Here its mean over classes is 1:
        within t = 1 a class of mean speed covers all but 1 / e of its way.

        F_0 comes from a linear support vector machine per class, that class against the rest: its decision values go through
        the logistic function and are divided by their sum over classes. It is evaluated on the rows it is fitted to. Where
        these are linearly separable, the score is near its maximum whatever the embeddings are worth.

        Both see principal coordinates divided by the root of their mean variance. Then neither the unit of the features, nor
        their axes, nor a wider space changes anything: for a random head all rotations are alike. 128 coordinates hold most of
        the variance and keep a hundred machines a matter of seconds.
        """
        options, statistics = self.options, sample.statistics
        chosen = balanced(sample.labels, max(options.rows, sample.classes), options.seed)
        labels = sample.labels[chosen]
        count = min(options.dimensions, statistics.rank)
        if count:
            rows = principal(statistics, count).rows(chosen)
            rows /= np.sqrt(statistics.values[:count].mean())
        else:
            rows = np.zeros((len(chosen), 1))
        start = _start(rows, labels, options.seed)
        used = np.flatnonzero(places_in_class(labels, options.seed) < options.images)
        squares = _speeds(rows[used], sample.classes, options.seed)
        speeds = np.bincount(labels[used], squares) / np.bincount(labels[used])
        way = (options.time * speeds / speeds.mean())[labels]
        logs = np.minimum(np.logaddexp(np.log(-np.expm1(-way)), start - way), 0.0)
        return float(statistics.shares @ (np.bincount(labels, logs) / np.bincount(labels)))


def _start(rows: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Return the log probability [n] that F_0 gives to the class of each row.

    A machine that has not converged after the usual number of iterations is used as it is. One thread: the inner products are
    too short for more.
    """
    from sklearn.exceptions import ConvergenceWarning  # slow to import, and only this score needs it
    from sklearn.svm import LinearSVC

    machine = LinearSVC(dual="auto", random_state=seed)
    logs = np.empty((len(rows), int(labels.max()) + 1))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        for label in range(logs.shape[1]):
            logs[:, label] = log_expit(machine.fit(rows, labels == label).decision_function(rows))
    return np.asarray(logs[np.arange(len(labels)), labels] - logsumexp(logs, axis=1))


def _speeds(rows: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Return the squared length [n] of the gradient of the sum of the logits by all parameters of a random head.

    The head is Linear, ReLU, Linear, ReLU, Linear. Its weights have variance 2 / inputs and its biases are zero. Let delta be
    the gradient of the sum by a layer's outputs and h the layer's inputs. The gradient by its weights is the outer product
    delta h^T and that by its bias is delta: together |delta|^2 (|h|^2 + 1). No gradient of a row is ever stored.
    """
    rng = np.random.default_rng(seed)
    widths = (rows.shape[1], *HIDDEN, classes)
    weights = [rng.normal(0.0, np.sqrt(2 / inputs), (inputs, outputs)) for inputs, outputs in pairwise(widths)]
    squares = []
    for at in range(0, len(rows), BATCH):
        inputs = [rows[at : at + BATCH]]
        for weight in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ weight, 0.0))
        delta = np.ones((len(inputs[0]), classes))
        total = np.zeros(len(inputs[0]))
        for depth in range(len(weights) - 1, -1, -1):
            total += (delta**2).sum(axis=1) * ((inputs[depth] ** 2).sum(axis=1) + 1.0)
            if depth:
                delta = (delta @ weights[depth].T) * (inputs[depth] > 0)
        squares.append(total)
    return np.concatenate(squares)
