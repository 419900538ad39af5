"""The desk benchmark: reads its measurements, lets every contender stand in its pools, and writes what comes out."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from itm.agreement import hit, pearson, regret, relative_at_k, spearman, tau_b, weighted_tau, worst_case
from itm.benchmark.contenders import contenders
from itm.benchmark.measured import Measured, read_measured
from itm.benchmark.page import write_evaluation_page
from itm.benchmark.standings import SUB_POOL, PoolStandings, Standing, standings
from itm.benchmark.standings_figure import standings_figure
from itm.benchmark.standings_table import markdown, short_markdown
from itm.core.params import Params
from itm.report.figures import write_png
from itm.store.files import write_beside, write_json, write_text
from itm.store.layout import Store

WHOLE = "desk"
FIRST = 3  # models of a shortlist


def run(params: Params, store: Store) -> tuple[PoolStandings, ...]:
    """Judge every contender in all models and in each pool alone, write what comes out to the store, and return it.

    Raises
    ------
    DataError
        If the measurements cannot be read, or no data set has accuracies of all models of a pool.
    AgreementError
        If the accuracies of a data set leave no order.
    StoreError
        If the store cannot be written to.
    """
    measured, chosen = read_measured(params.evaluate.measured), params.evaluate
    pools = {WHOLE: measured} | {name: measured.of(name) for name in dict.fromkeys(measured.pools)}
    found = tuple(standings(name, own, draws=chosen.draws, seed=chosen.seed) for name, own in pools.items())
    _write(measured, found, store.evaluation)
    return found


def _write(measured: Measured, found: tuple[PoolStandings, ...], folder: Path) -> None:
    """Write the page, the tables, summary.json, agreement.csv with every measure of every data set, and a picture a pool."""
    write_json(folder / "summary.json", summary(found))
    text = "\n".join(markdown(pool) for pool in found)
    write_text(folder / "table.md", text)
    write_text(folder / "short.md", short_markdown(found))
    write_beside(folder / "agreement.csv", agreement(measured).write_csv)
    for pool in found:
        figure = standings_figure(pool)
        write_beside(folder / f"{pool.name}.png", partial(write_png, figure=figure))
    write_evaluation_page(found, folder, seeds=len(measured.accuracies["full"]), image_sizes=measured.image_sizes)


def summary(pools: tuple[PoolStandings, ...]) -> dict[str, dict[str, Any]]:
    """Return the figures of every pool and contender; the sub-pools of ten models are a pool of their own."""
    found: dict[str, dict[str, Any]] = {}
    for pool in pools:
        found[pool.name] = {one.name: _figures(one) for one in pool.standings}
        if within := {one.name: _of_sub_pools(one) for one in pool.standings if one.sub_pools}:
            found[f"{pool.name}, pools of {SUB_POOL}"] = within
    return found


def _figures(one: Standing) -> dict[str, Any]:
    against = one.against_itm
    return {
        "kind": one.kind,
        "tau_w": _rounded(one.tau.mean, one.tau.low, one.tau.high),
        "worst": round(one.worst, 4),
        "worst_set": one.worst_set,
        "regret": round(one.regret, 4),
        "top1": round(one.top1, 4),
        "top3": round(one.top3, 4),
        "less_itm": None if against is None else _rounded(against.mean, against.low, against.high),
        "without_one": None if one.without_one is None else _rounded(*one.without_one),
        "failed": one.failed,
        "tied": one.tied,
    }


def _of_sub_pools(one: Standing) -> dict[str, Any]:
    spread, within = one.sub_pools, one.over_sub_pools
    assert spread is not None
    assert within is not None
    return {
        "kind": one.kind,
        "tau_w": _rounded(spread.mean, spread.low, spread.high),
        "deviation": round(spread.deviation, 4),
        "worst": round(within.worst, 4),
        "regret": round(within.regret, 4),
        "top1": round(within.top1, 4),
    }


def _rounded(*values: float) -> list[float]:
    return [round(value, 4) for value in values]


def agreement(measured: Measured) -> pl.DataFrame:
    """Return a row a contender and data set with every measure of agreement, over all models."""
    rows = []
    for one in contenders(measured):
        for row, name in enumerate(measured.sets):
            known = ~np.isnan(one.truth[row])
            truth = one.truth[row, known]
            case = worst_case(truth, one.values[row, known])
            rows.append(
                {
                    "contender": one.name,
                    "kind": one.kind,
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
                    "rel_at_3": relative_at_k(truth, case.ranks, min(FIRST, len(truth))),
                    "hit_at_3": hit(truth, case.ranks, min(FIRST, len(truth))),
                }
            )
    return pl.DataFrame(rows)
