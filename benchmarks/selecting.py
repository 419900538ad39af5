"""Measure `itm select` on recorded learning curves: regret against cost, and the quality of predicted accuracies.

    python -m benchmarks.selecting [data/desk] [--tables FOLDER]

Nothing is trained. The data set that a search is replayed on is left out of all fits. Costs are shares of the seconds that the
full grid took: every model at every learning rate; what it takes to begin with a model is not counted. With the folder of
published tables, the last line also has the regret after three fine-tuned models that a history chose
(`benchmarks/select_tables.py`). It is JSON.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.select_desk import Desk, Pair, read_desk
from benchmarks.select_replay import Delivered, confirm, grid_seconds, halving, in_order, orders, search
from benchmarks.select_report import COSTS, PROBE, Report, quality, quality_of_probe
from benchmarks.select_tables import FACTS, headline_regrets
from itm.benchmark.predictors import mean_rank_elsewhere
from itm.prediction.curve_model import CurveModel
from itm.prediction.fit import fit_curves, fit_prior
from itm.prediction.parameters import PriorParameters
from itm.prediction.prior import Belief, expect
from itm.selection.policy import Cost, Policy, Setting

RANDOM_ORDERS = 40
LEAST_MODELS = 10  # on a data set, for a search to be replayed on it

Method = Callable[[float], Delivered]


def beliefs(pairs: Sequence[Pair], prior: PriorParameters) -> dict[str, Belief]:
    """Return the belief of the product, the same without records of models, and one that knows neither scores nor facts."""
    known = [pair.known for pair in pairs]
    plain = expect(known, prior.model_copy(update={"records": {}}))
    spread = float(np.sum(np.square(prior.slopes)) + prior.model_variance + prior.rest_variance)
    size = len(known)
    unknown = np.full((size, size), prior.set_variance) + spread * np.eye(size)
    flat = Belief(plain.models, np.full(size, prior.intercept), unknown)
    return {"select": expect(known, prior), "without records": plain, "without prior": flat}


def before_fine_tuning(pairs: Sequence[Pair], belief: Belief, curves: CurveModel, rates: tuple[float, ...]) -> Delivered:
    """Return what is predicted before any fine-tuning."""
    costs = {pair.model: Cost(0.0, pair.run_seconds) for pair in pairs}
    standing = Policy(belief, curves, costs, Setting(rates, pairs[0].images)).standing([])
    return Delivered(standing.pick, 0.0, 0.0, standing)


def baselines(desk: Desk, scores: pl.DataFrame, data: str) -> dict[str, Method]:
    """Return what a search is compared with."""
    pairs, ranks = desk.of(data), ranks_elsewhere(desk, data)
    found = dict(scores.filter(data=data, score="itm", status="ok").select("model", "value").iter_rows())
    itm = {pair.model: found.get(pair.model, -np.inf) for pair in pairs}
    blind = sorted(itm, key=lambda model: -ranks[model])
    return {
        "scores": lambda budget: confirm(pairs, itm, 1, budget),
        "confirm3": lambda budget: confirm(pairs, itm, 3, budget),
        "confirm5": lambda budget: confirm(pairs, itm, 5, budget),
        "target_blind": lambda budget: in_order(pairs, blind, budget),
        "halving": lambda budget: halving(pairs, budget),
    }


def ranks_elsewhere(desk: Desk, data: str) -> dict[str, float]:
    """Return the mean rank of each model of a data set on the other data sets; a model without one is the last."""
    models, sets = sorted({pair.model for pair in desk.pairs}), desk.data_sets
    truth = np.full((len(sets), len(models)), np.nan)
    for pair in desk.pairs:
        truth[sets.index(pair.data), models.index(pair.model)] = pair.truth
    ranks = np.nan_to_num(mean_rank_elsewhere(truth)[sets.index(data)])
    return {pair.model: float(ranks[models.index(pair.model)]) for pair in desk.of(data)}


def measure(desk: Desk, scores: pl.DataFrame) -> Report:
    """Replay all searches on all data sets."""
    sets = tuple(data for data in desk.data_sets if len(desk.of(data)) >= LEAST_MODELS)
    report = Report(sets)
    for data in sets:
        pairs, others = desk.of(data), desk.without([data])
        best, total = max(pair.truth for pair in pairs), grid_seconds(pairs)
        prior = fit_prior(others.measured)
        curves = CurveModel(fit_curves(others.with_curves, others.curves, prior))
        for name, belief in beliefs(pairs, prior).items():
            expected = before_fine_tuning(pairs, belief, curves, desk.rates)
            of_costs = report.qualities.setdefault(name, {})
            of_costs.setdefault(0.0, []).append(quality(pairs, expected))
            for cost in COSTS:
                found = search(pairs, belief, curves, desk.rates, cost * total)
                report.add(name, cost, best - found.accuracy, found.seconds / total)
                of_costs.setdefault(cost, []).append(quality(pairs, found))
        report.qualities.setdefault(PROBE, {}).setdefault(0.0, []).append(quality_of_probe(pairs))
        for name, method in baselines(desk, scores, data).items():
            for cost in COSTS:
                found = method(cost * total)
                report.add(name, cost, best - found.accuracy, found.seconds / total)
        for cost in COSTS:  # the full grid, whatever it costs: how much the noise of the validation images takes
            found = in_order(pairs, [pair.model for pair in pairs], total)
            report.add("full_grid", cost, best - found.accuracy, found.seconds / total)
            drawn = [in_order(pairs, order, cost * total) for order in orders(pairs, 0, RANDOM_ORDERS)]
            lost = best - float(np.mean([own.accuracy for own in drawn]))
            report.add("random", cost, lost, float(np.mean([own.seconds for own in drawn])) / total)
    return report


def main() -> None:
    """Print the tables and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("desk", type=Path, nargs="?", default=Path("data/desk"))
    parser.add_argument("--tables", type=Path, default=FACTS, help="left out if there is no such folder")
    options = parser.parse_args()
    desk = read_desk(options.desk)
    report = measure(desk, pl.read_parquet(options.desk / "scores.parquet"))
    print(f"{sum(len(desk.of(data)) for data in report.data_sets)} pairs of {len(report.data_sets)} data sets")
    with pl.Config(
        tbl_rows=-1, tbl_cols=-1, tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True, tbl_width_chars=140
    ):
        for table in (report.table_of_regret(), report.table_of_quality(), report.table_of_data_sets()):
            print(table)
    print(json.dumps(report.summary() | (headline_regrets(options.tables) if options.tables.is_dir() else {})))


if __name__ == "__main__":
    main()
