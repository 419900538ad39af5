"""Agreement between scores and known accuracies of a pool of models.

Conventions:

- `truth` and `scores` hold one number per model; higher is better. Accuracies may be fractions or percent. Regret has the same
  unit.
- An `AgreementError` is raised if shapes differ, there are fewer than two models, a value is NaN or infinite, all values are
  equal, or `k` or a size is out of range. `worst_case` turns the scores of a real table into strict ranks: it puts failed
  models last and orders tied models against the score.
- tau_w is `scipy.stats.weightedtau`: the weight of a pair is 1 / (1 + r_i) + 1 / (1 + r_j), where the best model has rank 0.
  With `convention="scipy"` the value is the mean for ranks by accuracy and ranks by score, as in the SFDA papers. With
  `convention="truth"` the ranks are by accuracy only, as in Model Spider. The two can differ by 0.29 for the same numbers.
- Functions named `resampled_*` compute a statistic of many resamples at once. A resample is the number of times that each model
  occurs in it, so a bootstrap resample, a sub-pool and a pool without one model are all counts [resamples, models].
- Matrices are [data sets, models]. NaN in `truth` excludes a model on a data set.
"""

from itm.agreement.measures import Convention, hit, pearson, regret, relative_at_k, spearman, tau_b, weighted_tau
from itm.agreement.ranks import WorstCase, worst_case, worst_cases
from itm.agreement.resampling import (
    Interval,
    Spread,
    bootstrap_interval,
    leave_one_model_out,
    paired_difference,
    per_data_set,
    spread_over_sub_pools,
    sub_pools,
)
from itm.agreement.statistics import (
    Statistic,
    chance_level,
    resampled_hit,
    resampled_regret,
    resampled_relative_at_k,
    resampled_weighted_tau,
)

__all__ = [
    "Convention",
    "Interval",
    "Spread",
    "Statistic",
    "WorstCase",
    "bootstrap_interval",
    "chance_level",
    "hit",
    "leave_one_model_out",
    "paired_difference",
    "pearson",
    "per_data_set",
    "regret",
    "relative_at_k",
    "resampled_hit",
    "resampled_regret",
    "resampled_relative_at_k",
    "resampled_weighted_tau",
    "spearman",
    "spread_over_sub_pools",
    "sub_pools",
    "tau_b",
    "weighted_tau",
    "worst_case",
    "worst_cases",
]
