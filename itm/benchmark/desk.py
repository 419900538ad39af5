"""The desk benchmark: evaluate all predictors on committed measurements and write the results."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from itm.agreement import hit, pearson, regret, relative_at_k, spearman, tau_b, weighted_tau, worst_case
from itm.benchmark.measurements import Measurements, read_measurements
from itm.benchmark.page import standings_figure, write_evaluation_page
from itm.benchmark.predictors import build_predictors
from itm.benchmark.results import SUB_POOL, PoolResults, PredictorResult, evaluate_pool
from itm.benchmark.standings_table import markdown, short_markdown
from itm.core.params import Params
from itm.report.figures import write_png
from itm.store.files import write_atomically, write_json, write_text
from itm.store.layout import Store

WHOLE_POOL = "desk"
SHORTLIST = 3  # models


def run(params: Params, store: Store) -> tuple[PoolResults, ...]:
    """Evaluate all predictors on all models and on each pool, and write the results to the store."""
    chosen, measurements = params.evaluate, read_measurements(params.evaluate.measured)
    pools = {WHOLE_POOL: measurements} | {name: measurements.for_pool(name) for name in dict.fromkeys(measurements.pools)}
    results = tuple(evaluate_pool(name, own, resamples=chosen.resamples, seed=chosen.seed) for name, own in pools.items())
    _write(measurements, results, store.evaluation)
    return results


def _write(measurements: Measurements, pools: tuple[PoolResults, ...], folder: Path) -> None:
    """Write the page, the tables, summary.json, agreement.csv and one figure per pool."""
    write_json(folder / "summary.json", summary(pools))
    write_text(folder / "table.md", "\n".join(markdown(pool) for pool in pools))
    write_text(folder / "short.md", short_markdown(pools))
    write_atomically(folder / "agreement.csv", agreement(measurements).write_csv)
    for pool in pools:
        write_atomically(folder / f"{pool.name}.png", partial(write_png, figure=standings_figure(pool)))
    write_evaluation_page(pools, folder, seeds=len(measurements.accuracies["full"]), image_sizes=measurements.image_sizes)


def summary(pools: tuple[PoolResults, ...]) -> dict[str, dict[str, Any]]:
    """Return the results by pool and predictor. Results over sub-pools are under a separate key."""
    values: dict[str, dict[str, Any]] = {}
    for pool in pools:
        values[pool.name] = {result.name: _values(result) for result in pool.results}
        if sub_pools := {result.name: _sub_pool_values(result) for result in pool.results if result.sub_pools}:
            values[f"{pool.name}, pools of {SUB_POOL}"] = sub_pools
    return values


def _values(result: PredictorResult) -> dict[str, Any]:
    difference = result.difference_to_itm
    return {
        "kind": result.kind,
        "tau_w": _rounded(result.tau.mean, result.tau.low, result.tau.high),
        "worst": round(result.worst, 4),
        "worst_set": result.worst_set,
        "regret": round(result.regret, 4),
        "top1": round(result.top1, 4),
        "top3": round(result.top3, 4),
        "less_itm": None if difference is None else _rounded(difference.mean, difference.low, difference.high),
        "without_one": None if result.leave_one_out is None else _rounded(*result.leave_one_out),
        "failed": result.failed,
        "tied": result.tied,
    }


def _sub_pool_values(result: PredictorResult) -> dict[str, Any]:
    spread, means = result.sub_pools, result.sub_pool_means
    assert spread is not None
    assert means is not None
    return {
        "kind": result.kind,
        "tau_w": _rounded(spread.mean, spread.low, spread.high),
        "deviation": round(spread.deviation, 4),
        "worst": round(means.worst, 4),
        "regret": round(means.regret, 4),
        "top1": round(means.top1, 4),
    }


def _rounded(*values: float) -> list[float]:
    return [round(value, 4) for value in values]


def agreement(measurements: Measurements) -> pl.DataFrame:
    """Return one row per predictor and data set with all measures of agreement, over all models."""
    rows = []
    for predictor in build_predictors(measurements):
        for row, name in enumerate(measurements.sets):
            known = ~np.isnan(predictor.truth[row])
            truth = predictor.truth[row, known]
            shortlist = min(SHORTLIST, len(truth))
            case = worst_case(truth, predictor.values[row, known])
            rows.append(
                {
                    "contender": predictor.name,
                    "kind": predictor.kind,
                    "data": name,
                    "models": len(truth),
                    "failed": case.failed,
                    "tied": case.tied,
                    "tau_w": weighted_tau(truth, case.ranks),
                    "tau_w_by_truth": weighted_tau(truth, case.ranks, convention="truth"),
                    "tau_b": tau_b(truth, case.ranks),
                    "spearman": spearman(truth, case.ranks),
                    "pearson_of_ranks": pearson(truth, case.ranks),
                    "regret": regret(truth, case.ranks),
                    "rel_at_1": relative_at_k(truth, case.ranks, 1),
                    "rel_at_3": relative_at_k(truth, case.ranks, shortlist),
                    "hit_at_3": hit(truth, case.ranks, shortlist),
                }
            )
    return pl.DataFrame(rows)
