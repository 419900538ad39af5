"""N-LEEP: LEEP with the components of a Gaussian mixture over the embeddings in the place of source classes.

Source: Li, Jia, Sang, Zhu, Green, Wang, Gong, "Ranking Neural Checkpoints", CVPR 2021, sec. 4.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from itm.core.errors import ParamsError, ScoreError
from itm.scores.common.leep_sum import expected_probability
from itm.scores.common.principal import Principal, principal
from itm.scores.evaluate import Definition, Sample, register

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

ROWS_A_COMPONENT = 10  # a component of fewer rows has them for itself, and then every model foretells their classes


@dataclass(frozen=True)
class NleepOptions:
    """The share of the `variance` that is kept, how many `components` a class, and how they are fitted.

    `regularisation` is added to every variance, in units of the mean one. The mixture is fitted to `rows` rows at most.
    `reference` is the setting of the code that came with SFDA, which does without the log too.
    """

    variance: float = 0.8
    components: int = 5
    regularisation: float = 0.01
    rows: int = 10_000
    seed: int = 0
    reference: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.variance < 1 or not self.regularisation > 0:
            raise ParamsError(
                f"nleep needs 0 < variance < 1 and regularisation > 0, not {self.variance} and {self.regularisation}."
            )
        if self.components < 1 or self.rows < 100 or self.seed < 0:
            raise ParamsError(
                f"nleep needs components >= 1, rows >= 100 and seed >= 0, not {self.components}, {self.rows} and {self.seed}."
            )


def nleep(sample: Sample, options: NleepOptions) -> float:
    """Return the mean over rows of log sum_v p(y_i | v) P_iv, P the responsibilities of the mixture's components.

    The rows are taken in the fewest principal coordinates that hold `variance` of the variance, over the root of their mean
    variance, so that neither the unit of the features nor a wider space changes anything.

    The paper has 5 C components. With few images a class each would hold a handful of them, and near 0 is what any model then
    reaches; so there are no more than a tenth of the rows, though at least one a class. Covariances are diagonal, in principal
    coordinates: full ones have k (k + 1) / 2 numbers to learn from some ten rows, and fail at 50 images a class.

    `reference` fits 5 C full covariances, regularised by 1e-6 whatever the unit of the features, to all rows, and is the mean
    of the probabilities without the log.
    """
    statistics = sample.statistics
    if statistics.rank == 0:  # one place for all rows, so one component
        shares = statistics.shares
        return float(shares @ shares if options.reference else shares @ np.log(shares))
    held = np.cumsum(statistics.values) / statistics.values.sum()
    count = min(int(np.searchsorted(held, options.variance, side="right")) + 1, statistics.rank)
    scale = 1.0 if options.reference else float(np.sqrt(statistics.values[:count].mean()))
    space = principal(statistics, count)
    mixture = _fitted(space, scale, options)

    def blocks() -> Iterator[tuple[slice, np.ndarray]]:
        for where, block in space.blocks():
            yield where, mixture.predict_proba(block / scale)

    foretold = expected_probability(blocks, sample.labels)
    return float(foretold.mean() if options.reference else np.log(foretold).mean())


def _fitted(space: Principal, scale: float, options: NleepOptions) -> "GaussianMixture":
    """Return the mixture, fitted to some of the rows or, for the reference, to all.

    k-means, from which it starts, adds in the order in which threads finish, so there is one thread; on a busy machine that is
    the fastest too. What has not settled after 100 rounds, or has more components than different rows, is used as it is.
    """
    from sklearn.exceptions import ConvergenceWarning  # heavy, and needed by this score only
    from sklearn.mixture import GaussianMixture

    n, classes = space.statistics.n, space.statistics.classes
    if options.reference:
        chosen, components = np.arange(n), options.components * classes
    else:
        chosen = np.sort(np.random.default_rng(options.seed).permutation(n)[: options.rows])
        components = min(options.components * classes, max(classes, len(chosen) // ROWS_A_COMPONENT))
    if components > len(chosen):
        raise ScoreError(f"nleep as published needs {components} rows for its components, not {n}; leave reference off.")
    mixture = GaussianMixture(
        n_components=components,
        covariance_type="full" if options.reference else "diag",
        reg_covar=1e-6 if options.reference else options.regularisation,
        random_state=options.seed,
    )
    rows = space.rows(chosen) / scale
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        try:
            return mixture.fit(rows)
        except ValueError as error:
            if not options.reference:
                raise
            raise ScoreError(
                f"nleep as published fails on {n} rows in {space.dimensions} dimensions; leave reference off."
            ) from error


NLEEP = register(
    Definition(
        name="nleep",
        function=nleep,
        options=NleepOptions(),
        sampling="subset",
        summary="Log probability of the classes, foretold from the clusters that the embeddings fall into.",
        meaning="How well the cluster that an image's embedding falls into foretells its class, in nats per image: 0 is "
        "perfect, and minus the entropy of the classes is a guess. The clusters are found without looking at the classes.",
        paper="Li et al., CVPR 2021",
        cost="a Gaussian mixture of 5 components a class",
    )
)
