"""LEAD: where the class probabilities would drift under training, from where they start and how fast each class moves.

Source: Hu, Li, Tang, Liu, Hu, Duan, "LEAD: Exploring Logit Space Evolution for Model Selection", CVPR 2024.
"""

import warnings
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import log_expit, logsumexp
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from itm.core.errors import ParamsError
from itm.scores.common.principal import principal
from itm.scores.common.subset import balanced, turns
from itm.scores.evaluate import Definition, Sample, register

HIDDEN = (1024, 2048)  # widths of the head's hidden layers
BATCH = 1024  # rows that go through the head at once


@dataclass(frozen=True)
class LeadOptions:
    """For how much `time` training goes on, and of what it is foretold.

    The head and the support vectors see the first principal `dimensions` of about `rows` rows at most, and a class's speed is
    the mean over `images` of it.
    """

    time: float = 1.0
    images: int = 64
    dimensions: int = 128
    rows: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.time > 0:
            raise ParamsError(f"lead needs time > 0, not {self.time}.")
        if self.images < 1 or self.dimensions < 1 or self.rows < 5 or self.seed < 0:
            raise ParamsError(
                "lead needs images >= 1, dimensions >= 1, rows >= 5 and seed >= 0, "
                f"not {self.images}, {self.dimensions}, {self.rows} and {self.seed}."
            )


def lead(sample: Sample, options: LeadOptions) -> float:
    """Return the mean over rows of log F_t(y_i), the log probability of the class after training for a time t.

    Under gradient flow with a constant kernel the output of a row of class c goes from where it starts, F_0, to its label:

        F_t = (1 - exp(-eta lambda_c t)) onehot(c) + exp(-eta lambda_c t) F_0,

    lambda_c the mean squared gradient of the sum of the logits of a random head on the embeddings (`_speeds`). The scale of
    lambda comes from the head, and the paper leaves that of eta lambda open: here its mean over classes is 1, so that t = 1 is
    the time in which a class of mean speed goes all but 1 / e of its way.

    F_0 is by a linear support vector machine for each class against the rest: the decision values go through the logistic
    function and are divided by their sum over classes. It is judged on the rows it learnt from, so that where these are
    separable the score is near its best, whatever they are worth.

    Both see principal coordinates over the root of their mean variance, so that neither the unit of the features, nor their
    axes, nor a wider space changes anything; to a random head one rotation is as good as another. 128 coordinates hold most of
    the variance, and make a hundred machines a matter of seconds.
    """
    chosen = balanced(sample.labels, max(options.rows, sample.classes), options.seed)
    labels = sample.labels[chosen]
    count = min(options.dimensions, sample.statistics.rank)
    if count:
        rows = principal(sample.statistics, count).rows(chosen)
        rows /= np.sqrt(sample.statistics.values[:count].mean())
    else:
        rows = np.zeros((len(chosen), 1))
    start = _start(rows, labels, options.seed)
    used = np.flatnonzero(turns(labels, options.seed) < options.images)
    squares = _speeds(rows[used], sample.classes, options.seed)
    speeds = np.bincount(labels[used], squares) / np.bincount(labels[used])
    way = (options.time * speeds / speeds.mean())[labels]
    logs = np.minimum(np.logaddexp(np.log(-np.expm1(-way)), start - way), 0.0)
    return float(sample.statistics.shares @ (np.bincount(labels, logs) / np.bincount(labels)))


def _start(rows: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Return the log probability [n] that F_0 gives to each row's class.

    A machine that is still moving after the usual number of rounds is used as it is. Its inner products are too short for
    threads.
    """
    from sklearn.exceptions import ConvergenceWarning  # heavy, and needed by this score only
    from sklearn.svm import LinearSVC

    machine = LinearSVC(dual="auto", random_state=seed)
    logs = np.empty((len(rows), int(labels.max()) + 1))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        for label in range(logs.shape[1]):
            logs[:, label] = log_expit(machine.fit(rows, labels == label).decision_function(rows))
    return np.asarray(logs[np.arange(len(labels)), labels] - logsumexp(logs, axis=1))


def _speeds(rows: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Return the squared length [n] of the gradient of the sum of the logits in all parameters of a random head.

    The head is Linear, ReLU, Linear, ReLU, Linear with weights of variance 2 / inputs and biases of zero. With delta the
    gradient of the sum in a layer's outputs and h the layer's inputs, that in its weights is the outer product delta h^T and
    that in its bias delta: together |delta|^2 (|h|^2 + 1). No gradient of a row is ever written out.
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


LEAD = register(
    Definition(
        name="lead",
        function=lead,
        options=LeadOptions(),
        sampling="subset",
        summary="Log probability of the classes after training, foretold from a linear start and the speed of each class.",
        meaning="How sure a head trained for a while would be of the images' own classes, in nats per image: 0 is perfect. It "
        "learns from the rows it is judged on, so values are too good where images are few for the width of the model.",
        highest=0.0,
        paper="Hu et al., CVPR 2024",
        cost="a support vector machine for each class",
    )
)
