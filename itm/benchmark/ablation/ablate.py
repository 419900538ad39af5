"""One option of ITM varied at a time: what its values, and the order of the models by them, owe to each choice.

The axes cross in one point, the options that the parameters name, which is computed once. Every value is kept under the same
content key as in a ranking, so that nothing is computed twice and a killed run goes on where it was.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
from scipy import stats

from itm.core.errors import DataError, ParamsError, did_you_mean
from itm.core.params import Params
from itm.core.types import DataRef, ModelRef, Score
from itm.features.devices import device, share_cores
from itm.ranking.batch import splitting
from itm.ranking.intervals import estimate
from itm.ranking.scoring import score
from itm.run import pipeline
from itm.run.plan import plan
from itm.scores import get
from itm.store.files import write_beside, write_table, write_text
from itm.store.hash_cache import remembered
from itm.store.layout import Store

log = logging.getLogger(__name__)

AXES: dict[str, tuple[Any, ...]] = {
    "inner_loss": ("mse", "cross_entropy", "mae"),
    "centres": (("one_hot", 0), ("random", 0), ("random", 4), ("principal_axes", 0)),  # with dimensions a class, 0 as many
    "batch_size": (64, 128, 256, 512),
    "steps": (100, 250, 500, 1000),
    "recursions": (1, 3, 10, 100),
    "eta": (0.0, 0.1, 0.5, 1.0),
}
SCHEMA = {
    "data": pl.String,
    "model": pl.String,
    "axis": pl.String,
    "setting": pl.String,
    "options": pl.String,
    "default": pl.Boolean,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "standard_error": pl.Float64,
    "control": pl.Float64,
    "seconds": pl.Float64,
    "status": pl.String,
    "reason": pl.String,
}
AGREEMENT = {
    "data": pl.String,
    "axis": pl.String,
    "setting": pl.String,
    "default": pl.Boolean,
    "models": pl.Int64,
    "tau_w": pl.Float64,
    "reason": pl.String,
}


@dataclass(frozen=True)
class Setting:
    """One place on an axis: its options, those of ITM's own defaults left out, as JSON; `default` is the shared point."""

    axis: str
    text: str
    options: str
    default: bool


def check_axes(axes: Sequence[str]) -> None:
    """Find names that are no axis.

    Raises
    ------
    ParamsError
        If there is one; the message names the nearest axes.
    """
    for axis in axes:
        if axis not in AXES:
            raise ParamsError(f"no axis {axis!r}{did_you_mean(axis, AXES)} Known: {', '.join(AXES)}.")


def settings(axis: str, options: dict[str, Any], classes: int) -> list[Setting]:
    """Return the settings of an axis around `options`, among them the one that changes nothing."""
    own_defaults = asdict(get("itm").options)
    base = own_defaults | options
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
    if axis == "steps":  # judged as often as ever, since the best of more judgements is higher for that alone
        return [{axis: steps, "judge_every": max(1, base["judge_every"] * steps // base["steps"])} for steps in AXES[axis]]
    return [{axis: value} for value in AXES[axis]]


def _text(axis: str, change: dict[str, Any], classes: int) -> str:
    if axis != "centres":
        return f"{change[axis]:g}" if isinstance(change[axis], float) else f"{change[axis]}"
    times = f" {change['centre_dimensions'] / classes:g}x" if change["centre_dimensions"] else ""
    return f"{change['centres']}{times}{' + offset' if change['centre_offset'] else ''}"


def ablate(params: Params, store: Store, axes: Sequence[str] = tuple(AXES)) -> pl.DataFrame:
    """Score every model at every setting of `axes` on the one data set of `params`; what goes wrong is a row with its reason.

    Raises
    ------
    ParamsError
        If an axis is unknown or the parameters are wrong as a whole.
    DataError
        If the data set cannot be used.
    """
    check_axes(axes)
    share_cores(1)
    with remembered(store):
        planned = plan(params, store)
    if planned.failed_data:
        raise DataError(planned.failed_data[0].reason)
    (data,) = planned.data_sets
    options = params.score.options.get("itm", {})
    chosen = [setting for axis in AXES if axis in axes for setting in settings(axis, options, len(data.classes))]
    rows = [row for model in planned.models for row in _of_model(model, data, chosen, params, store)]
    for failure in planned.failed_models:
        rows += [_row(data.name, failure.model, setting, failure.reason) for setting in chosen]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _of_model(model: ModelRef, data: DataRef, chosen: Sequence[Setting], params: Params, store: Store) -> list[dict[str, Any]]:
    unscored = params.model_copy(update={"score": params.score.model_copy(update={"names": ()})})
    outcome = pipeline.run_pair(model, data, unscored, store, show_progress=True)
    if outcome.features is None:
        return [_row(data.name, model.name, setting, outcome.failures[0].reason) for setting in chosen]
    target = str(device(params.extract.device))
    found: dict[str, Score | str] = {}
    for options in dict.fromkeys(setting.options for setting in chosen):
        change = {"names": ("itm",), "rank_by": "itm", "options": {"itm": json.loads(options)}}
        scores, failures = score(outcome.features, params.score.model_copy(update=change), store, params.extract.resume, target)
        found[options] = scores[0] if scores else failures[0].reason
    values = [value for value in found.values() if isinstance(value, Score)]
    computed = sum(not value.cached for value in values)
    log.info(
        "%s on %s: %d settings, %d computed, %d cached, %d undefined",
        *(model.name, data.name, len(found), computed, len(values) - computed, len(found) - len(values)),
    )
    share = splitting(params.score).judged_over_learnt
    return [_row(data.name, model.name, setting, found[setting.options], share) for setting in chosen]


def _row(data: str, model: str, setting: Setting, found: Score | str, judged_over_learnt: float = 0.0) -> dict[str, Any]:
    row: dict[str, Any] = {"data": data, "model": model, "axis": setting.axis, "setting": setting.text}
    row |= {"options": setting.options, "default": setting.default}
    if isinstance(found, str):
        return row | {"status": "failed", "reason": found}
    made = estimate(found, judged_over_learnt)
    interval = {"value": made.value, "low": made.low, "high": made.high, "standard_error": made.standard_error}
    return row | interval | {"control": found.details.get("control"), "seconds": found.seconds, "status": "ok"}


def agreement(table: pl.DataFrame) -> pl.DataFrame:
    """Return by weighted tau, as SciPy has it, how far each setting keeps the default's order, or why that cannot be said."""
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
    """Write the table, the agreement of orders and the figure, and return their folder, below the results of the store."""
    # drawing takes its time to import, and whoever wants the table alone can do without
    from itm.benchmark.ablation.figure import ablation_figure
    from itm.report.figures import as_svg, write_png

    folder, orders = store.results / "ablation", agreement(table)
    figure = ablation_figure(table, orders)
    write_table(folder / "ablation.parquet", table)
    write_table(folder / "agreement.parquet", orders)
    write_text(folder / "ablation.svg", as_svg(figure))
    write_beside(folder / "ablation.png", lambda beside: write_png(beside, figure))
    return folder
