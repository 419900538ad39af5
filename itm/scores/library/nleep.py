"""N-LEEP: LEEP with the components of a Gaussian mixture of the embeddings in the place of source classes.

Source: Li, Jia, Sang, Zhu, Green, Wang, Gong, "Ranking Neural Checkpoints", CVPR 2021, sec. 4.
"""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from itm.core.errors import ScoreError
from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.principal import Principal, principal
from itm.scores.library.leep import expected_probability
from itm.scores.registry import register
from itm.scores.sample import Sample

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

ROWS_PER_COMPONENT = 10  # a component with fewer rows memorises them: then every model predicts their classes


class NleepOptions(Options):
    """The share of the `variance` that is kept, the number of `components` per class, and how they are fitted.

    `regularisation` is added to every variance, relative to the mean one. The mixture is fitted to at most `rows` rows.
    """

    variance: float = Field(0.8, gt=0, lt=1)
    components: int = Field(5, ge=1)
    regularisation: float = Field(0.01, gt=0, allow_inf_nan=False)
    rows: int = Field(10_000, ge=100)
    seed: int = Field(0, ge=0)


@register
class Nleep(StatisticScore[NleepOptions]):
    """The mean over rows of log sum_v p(y_i | v) P_iv, where P are the responsibilities of the mixture's components."""

    options_type = NleepOptions
    info = ScoreInfo(
        name="nleep",
        summary="Log probability of the classes, predicted from the clusters of the embeddings.",
        meaning="How well the cluster of an image's embedding predicts its class, in nats per image: 0 is perfect, and minus "
        "the entropy of the classes is a guess. The clusters are found without looking at the classes.",
        paper="Li et al., CVPR 2021",
        cost="a Gaussian mixture of 5 components per class",
    )

    def value(self, sample: Sample) -> float:
        """Return the mean log probability, at most 0.

        The rows are taken in the fewest principal coordinates that hold `variance` of the variance, divided by the root of
        their mean variance. Then neither the unit of the features nor a wider space changes the score.

        The paper has 5 C components. With few images per class each would hold a handful of them, and any model would come near
        0. So there are at most a tenth as many components as rows, but at least one per class. Covariances are diagonal, in
        principal coordinates: full ones have k (k + 1) / 2 parameters for some ten rows, and fail at 50 images per class.
        """
        statistics = sample.statistics
        if statistics.rank == 0:  # all rows are equal: one component
            return float(statistics.shares @ np.log(statistics.shares))
        held = np.cumsum(statistics.values) / statistics.values.sum()
        count = min(int(np.searchsorted(held, self.options.variance, side="right")) + 1, statistics.rank)
        scale = float(np.sqrt(statistics.values[:count].mean()))
        space = principal(statistics, count)
        mixture = self._fit(space, scale)

        def blocks() -> Iterator[tuple[slice, np.ndarray]]:
            for where, block in space.blocks():
                yield where, mixture.predict_proba(block / scale)

        return float(np.log(expected_probability(blocks, sample.labels)).mean())

    def _fit(self, space: Principal, scale: float) -> "GaussianMixture":
        """Return the mixture, fitted to a part of the rows.

        One thread: the k-means that it starts from adds in the order in which threads finish. On a busy machine this is the
        fastest too. A mixture that has not converged after 100 iterations, or has more components than distinct rows, is used
        as it is.
        """
        from sklearn.exceptions import ConvergenceWarning  # slow to import, and only this score needs it
        from sklearn.mixture import GaussianMixture

        options, n, classes = self.options, space.statistics.n, space.statistics.classes
        chosen = np.sort(np.random.default_rng(options.seed).permutation(n)[: options.rows])
        components = min(options.components * classes, max(classes, len(chosen) // ROWS_PER_COMPONENT))
        if components > len(chosen):
            raise ScoreError(f"nleep needs {components} rows for its components, not {len(chosen)}; raise the option rows.")
        mixture = GaussianMixture(
            n_components=components, covariance_type="diag", reg_covar=options.regularisation, random_state=options.seed
        )
        rows = space.rows(chosen) / scale
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", category=ConvergenceWarning)
            return mixture.fit(rows)
