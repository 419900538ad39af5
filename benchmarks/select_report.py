"""Tables of `benchmarks/selecting.py`: regret against cost, differences to the search, and the quality of predictions."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from benchmarks.select_desk import Pair
from benchmarks.select_replay import Delivered
from benchmarks.select_tables import paired_interval
from itm.agreement import weighted_tau, worst_case
from itm.prediction.prior import PROBES
from itm.prediction.scale import from_angle, to_angle

COSTS = (0.05, 0.15, 0.30)  # shares of the cost of the full grid
LEVELS = {0.5: 0.6745, 0.8: 1.2816, 0.95: 1.96}  # coverage of intervals, and its quantile of the normal distribution
COVERAGES = tuple(f"coverage_{100 * level:.0f}" for level in LEVELS)
CLOSE = 0.01  # accuracy
PROBE = "linear probe"  # its accuracy, read as that after fine-tuning
OWN = "select"


@dataclass(frozen=True)
class Quality:
    """Predictions on one data set at one cost: errors [m] in accuracy, hits [m] of intervals by level, and tau_w."""

    errors: np.ndarray
    inside: dict[float, np.ndarray]
    tau: float


def quality(pairs: tuple[Pair, ...], delivered: Delivered) -> Quality:
    """Return the quality of the predictions that were delivered."""
    assert delivered.standing
    truths = {pair.model: pair.truth for pair in pairs}
    rows = delivered.standing.predictions
    truth, expected, low, high = (
        np.array(values) for values in zip(*((truths[own.model], own.accuracy, own.low, own.high) for own in rows), strict=True)
    )
    centre, half = (to_angle(low) + to_angle(high)) / 2, (to_angle(high) - to_angle(low)) / 2
    inside = {}
    for level, quantile in LEVELS.items():
        reach = half * quantile / LEVELS[0.95]
        inside[level] = (truth >= from_angle(centre - reach)) & (truth <= from_angle(centre + reach))
    return Quality(expected - truth, inside, weighted_tau(truth, worst_case(truth, expected).ranks))


def quality_of_probe(pairs: tuple[Pair, ...]) -> Quality:
    """Return the quality of the accuracy of the linear probe as a prediction. It has no intervals."""
    truth, probe = (np.array(values) for values in zip(*((p.truth, p.known.features[PROBES[0]]) for p in pairs), strict=True))
    return Quality(probe - truth, {}, weighted_tau(truth, worst_case(truth, probe).ranks))


@dataclass
class Report:
    """Regrets by method, cost and data set, and qualities of predictions by method and cost."""

    data_sets: tuple[str, ...]
    regrets: dict[str, dict[float, list[float]]] = field(default_factory=dict)
    spent: dict[str, dict[float, list[float]]] = field(default_factory=dict)
    qualities: dict[str, dict[float, list[Quality]]] = field(default_factory=dict)

    def add(self, method: str, cost: float, regret: float, spent: float) -> None:
        """Add what a method lost on the next data set."""
        self.regrets.setdefault(method, {}).setdefault(cost, []).append(regret)
        self.spent.setdefault(method, {}).setdefault(cost, []).append(spent)

    def regret(self, method: str, cost: float) -> float:
        """Return the mean regret in points."""
        return 100 * float(np.mean(self.regrets[method][cost]))

    def difference(self, method: str, cost: float) -> tuple[float, float, float]:
        """Return how much more than the search a method loses, in points, with the 95 % interval of paired data sets."""
        own, other = (100 * np.array(self.regrets[name][cost]) for name in (OWN, method))
        found = paired_interval(other, own)
        return found.mean, found.low, found.high

    def table_of_regret(self) -> pl.DataFrame:
        """Return the mean regret of each method by cost, what was spent, and the difference to the search at 15 %."""
        rows = []
        for method in self.regrets:
            row: dict[str, Any] = {"method": method}
            row |= {f"{cost:.0%}": round(self.regret(method, cost), 2) for cost in COSTS}
            row["spent at 15%"] = f"{np.mean(self.spent[method][0.15]):.1%}"
            row["within a point"] = round(float(np.mean(np.array(self.regrets[method][0.15]) <= CLOSE)), 2)
            mean, low, high = self.difference(method, 0.15)
            row["minus select"] = "" if method == OWN else f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"
            rows.append(row)
        return pl.DataFrame(rows)

    def table_of_quality(self) -> pl.DataFrame:
        """Return tau_w, errors and coverage by method and cost."""
        return pl.DataFrame(
            [
                {"method": method, "cost": f"{cost:.0%}"} | dict.fromkeys(COVERAGES) | self.measures(method, cost)
                for method, of_costs in self.qualities.items()
                for cost in sorted(of_costs)
            ]
        )

    def measures(self, method: str, cost: float) -> dict[str, float]:
        """Return the measures of the predictions of a method at a cost."""
        found = self.qualities[method][cost]
        errors = np.concatenate([own.errors for own in found])
        values = {"tau_w": float(np.mean([own.tau for own in found]))}
        values |= {"rmse_points": 100 * float(np.sqrt(np.mean(errors**2))), "bias_points": 100 * float(errors.mean())}
        for level in found[0].inside:
            values[f"coverage_{100 * level:.0f}"] = float(np.concatenate([own.inside[level] for own in found]).mean())
        return {name: round(value, 3) for name, value in values.items()}

    def table_of_data_sets(self) -> pl.DataFrame:
        """Return the regret of the search on each data set."""
        rows = self.regrets[OWN]
        own = {f"{cost:.0%}": [round(100 * value, 2) for value in rows[cost]] for cost in COSTS}
        return pl.DataFrame({"data": self.data_sets} | own)

    def summary(self) -> dict[str, Any]:
        """Return the figures of the last line."""
        within = float(np.mean(np.array(self.regrets[OWN][0.15]) <= CLOSE))
        before, after = self.measures(OWN, 0.0), self.measures(OWN, 0.15)
        return {
            "regret_at_cost": {name: {f"{c:g}": round(self.regret(name, c), 3) for c in COSTS} for name in self.regrets},
            "within_one_point_at_0.15": round(within, 3),
            "coverage_95": before["coverage_95"],
            "coverage_95_at_0.15": after["coverage_95"],
            "rmse_points": before["rmse_points"],
            "rmse_points_at_0.15": after["rmse_points"],
            "tau_w_predicted": before["tau_w"],
            "tau_w_predicted_without_records": self.measures("without records", 0.0)["tau_w"],
            "tau_w_at_0.15": after["tau_w"],
            "rmse_points_of_linear_probe": self.measures(PROBE, 0.0)["rmse_points"],
        }
