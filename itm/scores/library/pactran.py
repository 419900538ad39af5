"""PACTran: a bound on the error of a linear classifier, from its penalised loss and the curvature of the loss.

Source: Ding, Chen, Levinboim, Changpinyo, Soricut, "PACTran: PAC-Bayesian Metrics for Estimating the Transferability of
Pretrained Models to Classification Tasks", ECCV 2022, PACTran-Gaussian.
"""

from pydantic import Field

from itm.scores.base import Options, ScoreInfo, StatisticScore
from itm.scores.common.penalised_classifier import Bound, PenalisedClassifier, minimise
from itm.scores.registry import register
from itm.scores.sample import Sample

TYPICAL_VARIANCE = 0.3  # of a feature: the median of 26 tables of embeddings by 13 public checkpoints, between 0.05 and 2.2


class PactranOptions(Options):
    """`beta` of the bound as a multiple of n r, and `prior_variance` of a weight as a multiple of 1 / r, where r is the rank.

    The defaults are those that the comparison in the public code reports, with r for d.
    """

    beta: float = Field(0.1, gt=0, allow_inf_nan=False)
    prior_variance: float = Field(1.0, gt=0, allow_inf_nan=False)


@register
class Pactran(StatisticScore[PactranOptions]):
    """Minus a PAC-Bayesian bound on the error of classifiers drawn from around the best linear one."""

    options_type = PactranOptions
    info = ScoreInfo(
        name="pactran",
        summary="Bound on the error of a linear classifier, from its penalised loss and the curvature of the loss.",
        meaning="How well a linear classifier fits with weights that are small and need not be exact. Minus a cross-entropy in "
        "nats with two penalties; 0 would be a perfect fit without any weights.",
        highest=0.0,
        paper="Ding et al., ECCV 2022",
        cost="some fifty passes of n d C",
    )

    def value(self, sample: Sample) -> float:
        """Return minus the bound.

        Let p = softmax(f w + b) for n rows and C classes, with weights drawn from N(0, s I) a priori. The bound is

            L + |w|^2 / (2 beta s) + C r / (2 beta) log(1 + beta s / (C r) trace H),

        where L is the mean cross-entropy, w and b minimise the first two terms, and H is the second derivative of L by w:
        trace H = mean_i sum_k p_ik (1 - p_ik) |f_i|^2. By default beta = 0.1 n r and s = 1 / r; the last factor is 5 C / n.

        The published bound takes features as they come, so the same features twice as large fit better. Here they are centred
        and scaled so that their r directions have a mean variance of 0.3, which is typical of embeddings. r stands for d: a
        wider space without information must not change a score. Where n < d, it is at most n - 1.

        The problem is convex: its solution does not depend on the start. The public code starts at random and stops early,
        which moves its value by up to 5e-5 on embeddings. It also sums the curvature of the rows where it averages their loss
        (n times the trace), and counts the curvature by the biases, which have no prior.
        """
        statistics, options = sample.statistics, self.options
        n, classes, rank = statistics.n, statistics.classes, max(statistics.rank, 1)
        strength = n * options.beta * options.prior_variance  # beta s
        factor = classes / (2 * options.beta * n)
        bound = Bound(1 / (strength * TYPICAL_VARIANCE), factor, strength / (classes * rank), TYPICAL_VARIANCE)
        return -minimise(PenalisedClassifier(statistics, bound))
