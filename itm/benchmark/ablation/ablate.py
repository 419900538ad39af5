"""The ablation of ITM: one option varied at a time, and its effect on the values and on the order of the models.

All axes share one point, the options that the parameters name, which is computed once. Values are cached like those of a
ranking, so an interrupted ablation resumes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
from scipy import stats

from itm.benchmark.ablation.axes import AXES, check_axes
from itm.benchmark.ablation.stage import AblateStage
from itm.core.errors import DataError
from itm.core.params import Params
from itm.core.types import Outcome, ScoreValue
from itm.ranking.batch import splitting
from itm.ranking.intervals import estimate
from itm.run.engine import execute
from itm.run.executors import executor
from itm.run.plan import plan
from itm.run.stages import EXTRACT
from itm.scores import make
from itm.store.files import write_atomically, write_table, write_text
from itm.store.layout import Store

SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("data", "model", "axis", "setting", "options"), pl.String),
    "default": pl.Boolean,
    **dict.fromkeys(("value", "low", "high", "standard_error", "control", "seconds"), pl.Float64),
    **dict.fromkeys(("status", "reason"), pl.String),
}
AGREEMENT: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("data", "axis", "setting"), pl.String),
    "default": pl.Boolean,
    "models": pl.Int64,
    "tau_w": pl.Float64,
    "reason": pl.String,
}


@dataclass(frozen=True)
class Setting:
    """One point on an axis: its options as JSON, without those that are ITM's own defaults. `default` is the shared point."""

    axis: str
    text: str
    options: str
    default: bool


def settings(axis: str, options: dict[str, Any], classes: int) -> list[Setting]:
    """Return the settings of an axis around `options`, among them the one that changes nothing."""
    own_defaults = make("itm").options.model_dump()
    base = make("itm", options).options.model_dump()
    changes = _changes(axis, base, classes)
    own = {name: base[name] for name in changes[0]}
    if own not in changes:
        changes.append(own)
        if not isinstance(base[axis], str):
            changes.sort(key=lambda change: change[axis])
    found = []
    for change in changes:
        differing = {name: value for name, value in (base | change).items() if value != own_defaults[name]}
        found.append(Setting(axis, _text(axis, change, classes), json.dumps(differing, sort_keys=True), change == own))
    return found


def _changes(axis: str, base: dict[str, Any], classes: int) -> list[dict[str, Any]]:
    if axis == "centres":
        return [
            {"centres": kind, "centre_dimensions": times * classes, "centre_offset": offset}
            for kind, times in AXES[axis]
            for offset in (False, True)
        ]
    if axis == "steps":  # the same number of evaluations: the best of more of them is higher for that alone
        every = base["evaluate_every"]
        return [{axis: steps, "evaluate_every": max(1, every * steps // base["steps"])} for steps in AXES[axis]]
    return [{axis: value} for value in AXES[axis]]


def _text(axis: str, change: dict[str, Any], classes: int) -> str:
    if axis != "centres":
        return f"{change[axis]:g}" if isinstance(change[axis], float) else f"{change[axis]}"
    times = f" {change['centre_dimensions'] / classes:g}x" if change["centre_dimensions"] else ""
    return f"{change['centres']}{times}{' + offset' if change['centre_offset'] else ''}"


def ablate(params: Params, store: Store, axes: Sequence[str] = tuple(AXES)) -> pl.DataFrame:
    """Score every model at every setting of `axes` on the only data set of `params`. A failure is a row with its reason.

    Raises
    ------
    ParamsError
        If an axis is unknown.
    DataError
        If the data set cannot be used.
    """
    check_axes(axes)
    planned = plan(params, store)
    if planned.failed_data:
        raise DataError(planned.failed_data[0].reason)
    (data,) = planned.data_sets
    options = params.score.options.get("itm", {})
    chosen = [setting for axis in AXES if axis in axes for setting in settings(axis, options, len(data.target.names))]
    stage = AblateStage(tuple(dict.fromkeys(setting.options for setting in chosen)))
    outcomes = execute(planned.through(EXTRACT, stage), executor(params.runner), store, params)
    outcomes += [Outcome(data.name, failure.model, failures=(failure,)) for failure in planned.failed_models]
    share = splitting(params.score).test_over_train
    return pl.DataFrame([row for outcome in outcomes for row in _rows(outcome, chosen, share)], schema=SCHEMA, orient="row")


def _rows(outcome: Outcome, chosen: Sequence[Setting], test_over_train: float) -> list[dict[str, Any]]:
    """Return one row per setting. A failure that is not of a setting is of the whole model."""
    scores = {score.score: replace(score, score="itm") for score in outcome.scores}
    reasons = {failure.step: failure.reason for failure in outcome.failures}
    rows = []
    for setting in chosen:
        found = scores.get(setting.options) or reasons.get(setting.options) or next(iter(reasons.values()))
        rows.append(_row(outcome.data, outcome.model, setting, found, test_over_train))
    return rows


def _row(data: str, model: str, setting: Setting, found: ScoreValue | str, test_over_train: float) -> dict[str, Any]:
    row: dict[str, Any] = {"data": data, "model": model, "axis": setting.axis, "setting": setting.text}
    row |= {"options": setting.options, "default": setting.default}
    if isinstance(found, str):
        return row | {"status": "failed", "reason": found}
    made = estimate(found, test_over_train)
    interval = {"value": made.value, "low": made.low, "high": made.high, "standard_error": made.standard_error}
    return row | interval | {"control": found.details.get("control"), "seconds": found.seconds, "status": "ok"}


def agreement(table: pl.DataFrame) -> pl.DataFrame:
    """Return SciPy's weighted tau between each setting and the default, or the reason why it is undefined."""
    default = {row["model"]: row["value"] for row in table.filter("default", status="ok").iter_rows(named=True)}
    rows: list[dict[str, Any]] = []
    for _, part in table.group_by("axis", "setting", maintain_order=True):
        values = {row["model"]: row["value"] for row in part.filter(status="ok").iter_rows(named=True)}
        both = [model for model in values if model in default]
        tau, reason = _tau([values[model] for model in both], [default[model] for model in both])
        known = part.row(0, named=True)
        rows.append({name: known[name] for name in ("data", "axis", "setting", "default")})
        rows[-1] |= {"models": len(both), "tau_w": tau, "reason": reason}
    return pl.DataFrame(rows, schema=AGREEMENT, orient="row")


def _tau(values: Sequence[float], default: Sequence[float]) -> tuple[float | None, str | None]:
    if len(values) < 2:
        return None, f"models with a value here and at the default: {len(values)}; an order needs 2."
    for where, some in (("here", values), ("at the default", default)):
        if len(set(some)) == 1:
            return None, f"all {len(some)} models have the value {some[0]:g} {where}, which is no order."
    return float(stats.weightedtau(values, default).statistic), None


def write_ablation(table: pl.DataFrame, store: Store) -> Path:
    """Write the table, the agreement of orders and the figure, and return their folder."""
    # matplotlib is slow to import, and the table alone does not need it
    from itm.benchmark.ablation.figure import ablation_figure
    from itm.report.figures import as_svg, write_png

    folder, orders = store.results / "ablation", agreement(table)
    figure = ablation_figure(table, orders)
    write_table(folder / "ablation.parquet", table)
    write_table(folder / "agreement.parquet", orders)
    write_text(folder / "ablation.svg", as_svg(figure))
    write_atomically(folder / "ablation.png", lambda beside: write_png(beside, figure))
    return folder
