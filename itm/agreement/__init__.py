"""How well the order in which a score puts a pool of models agrees with their known accuracies.

Conventions, the same everywhere:

- `truth` and `scores` hold one number a model, and higher is better in both. Accuracies may be fractions or percent; a regret
  is in their unit.
- Nothing is dropped in silence. NaN and infinity are refused; what a real table holds of failed models goes through
  `worst_case`, which puts them last and breaks every tie against the score.
- tau_w is SciPy's `weightedtau`: a pair weighs 1 / (1 + r_i) + 1 / (1 + r_j), with rank r = 0 for the best model.
  `convention="scipy"` takes r by accuracy and by score and gives the mean of the two values, as the SFDA family does;
  `convention="truth"` takes r by accuracy alone, as Model-Spider does. They can lie 0.29 apart on the same numbers.
- A resample, a sub-pool and a pool with a model left out are all the same thing here: how often each model counts. Functions
  whose name begins with `counted` take such counts [draws, models] and give one value a draw.
- Tables are matrices [data sets, models]; NaN in `truth` says that a model has no accuracy there and does not take part.
"""

from itm.agreement.correlations import Convention, pearson, spearman, tau_b, weighted_tau
from itm.agreement.counted import (
    Statistic,
    counted_hit,
    counted_regret,
    counted_relative_at_k,
    counted_weighted_tau,
    random_ranker,
)
from itm.agreement.picks import hit, recall_at_k, regret, relative_at_k
from itm.agreement.ranks import WorstCase, worst_case, worst_cases
from itm.agreement.resampling import (
    Interval,
    Spread,
    intervals,
    leave_one_model_out,
    over_sub_pools,
    paired_difference,
    per_data_set,
    sub_pools,
)

__all__ = [
    "Convention",
    "Interval",
    "Spread",
    "Statistic",
    "WorstCase",
    "counted_hit",
    "counted_regret",
    "counted_relative_at_k",
    "counted_weighted_tau",
    "hit",
    "intervals",
    "leave_one_model_out",
    "over_sub_pools",
    "paired_difference",
    "pearson",
    "per_data_set",
    "random_ranker",
    "recall_at_k",
    "regret",
    "relative_at_k",
    "spearman",
    "sub_pools",
    "tau_b",
    "weighted_tau",
    "worst_case",
    "worst_cases",
]
