"""The evaluation as one HTML page that needs no network: verdicts, tables and figures of all pools."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from itm.benchmark.results import SUB_POOL, PoolResults, PredictorResult
from itm.benchmark.standings_table import KINDS, by_kind, title, with_deviation
from itm.benchmark.verdict import bounds, verdict
from itm.core.text import format_fixed, join_names, pluralize
from itm.report.figures import THEME, WIDTH, style
from itm.report.page import Picture, inline, template, write_index
from itm.report.page_tables import Cell, Column

COLOURS = {"score": THEME["group-0"], "control": THEME["group-1"], "ceiling": THEME["muted"]}
MARKERS = {"score": "o", "control": "s", "ceiling": "D"}
CAPTION = (
    "Marks are means over data sets, bars are 95 % confidence intervals, ticks are single data sets. 5 % of random orders are "
    "to the right of the dashed line."
)


@dataclass(frozen=True)
class Row:
    result: PredictorResult
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class PoolPanel:
    """The section of one pool; `groups` has scores, controls and ceilings by heading."""

    name: str
    pool: PoolResults
    title: str
    verdict: tuple[str, ...]
    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    picture: Picture


def render_evaluation(pools: Sequence[PoolResults], *, seeds: int | None = None, image_sizes: Sequence[int] = ()) -> str:
    """Return the page; the same results give the same bytes."""
    panels = [_panel(pool, number) for number, pool in enumerate(pools, start=1)]
    measured = _measured(pools, seeds, image_sizes)
    return template("evaluation.html", "itm.benchmark").render(panels=panels, measured=measured, theme=THEME)


def write_evaluation_page(
    pools: Sequence[PoolResults], folder: Path, *, seeds: int | None = None, image_sizes: Sequence[int] = ()
) -> Path:
    """Write the page to index.html in `folder` and return its path; `image_sizes` are in pixels per side."""
    return write_index(folder, render_evaluation(pools, seeds=seeds, image_sizes=image_sizes))


def _measured(pools: Sequence[PoolResults], seeds: int | None, image_sizes: Sequence[int]) -> str:
    """Return what the ground truth consists of."""
    models = pluralize(len({model for pool in pools for model in pool.models}), "model")
    sets = pluralize(len({name for pool in pools for name in pool.sets}), "data set")
    over = f", the mean of {pluralize(seeds, 'seed')}" if seeds else ""
    sizes = [str(size) for size in sorted(set(image_sizes))]
    at = f", on images of {join_names(sizes, len(sizes))} pixels per side" if sizes else ""
    return f"The ground truth is the accuracy of {models} after full fine-tuning on {sets}{over}{at}."


def _panel(pool: PoolResults, number: int) -> PoolPanel:
    name, within = f"pool-{number}", any(one.sub_pools for one in pool.results)
    groups = tuple(
        (KINDS[kind].capitalize(), tuple(Row(one, tuple(_cells(one, within))) for one in own))
        for kind, own in by_kind(pool.results)
    )
    svg = inline(standings_figure(pool), f"{name}-", f"Mean tau_w of every predictor in {pool.name}")
    return PoolPanel(name, pool, title(pool), verdict(pool), tuple(_columns(within)), groups, Picture(svg, CAPTION))


def _columns(within: bool) -> Iterator[Column]:
    """Yield the columns after the name; each group is sorted by the first one."""
    yield Column("tau_w", note="95 % interval")
    yield Column("Lowest", note="and where")
    yield Column("Regret", first="ascending", note="points")
    yield Column("Top-1", note="% of sets")
    yield Column("Top-3", note="% of sets")
    yield Column("Minus ITM", note="95 % interval")
    if within:
        yield Column(f"Pools of {SUB_POOL}", note="mean ± deviation")
    yield Column("Failed", first="ascending", note="pairs")
    yield Column("Tied", first="ascending", note="pairs")


def _cells(one: PredictorResult, within: bool) -> Iterator[Cell]:
    against, spread = one.difference_to_itm, one.sub_pools
    yield Cell(format_fixed(one.tau.mean, 2), one.tau.mean, bounds(one.tau))
    yield Cell(format_fixed(one.worst, 2), one.worst, one.worst_set)
    yield Cell(format_fixed(one.regret, 1), one.regret)
    yield Cell(format_fixed(100 * one.top1, 0), one.top1)
    yield Cell(format_fixed(100 * one.top3, 0), one.top3)
    if against is None:
        yield Cell("-")
    else:
        yield Cell(format_fixed(against.mean, 2, "+"), against.mean, bounds(against, "+"))
    if within:
        yield Cell(with_deviation(spread), spread.mean if spread else None)
    yield Cell(str(one.failed), one.failed)
    yield Cell(str(one.tied), one.tied)


def standings_figure(pool: PoolResults) -> Figure:
    """Draw one line per predictor, the highest on top. The dashed line is what 5 % of random orders reach."""
    found = sorted(pool.results, key=lambda one: one.tau.mean)
    with style():
        figure = Figure(figsize=(WIDTH, 1.5 + 0.22 * len(found)), layout="constrained")
        axes = figure.add_subplot()
        size = f"{pluralize(len(pool.models), 'model')} fine-tuned on {pluralize(len(pool.sets), 'data set')}"
        axes.set_title(f"{pool.name}: {size}")
        axes.set_xlabel("weighted tau with accuracy after full fine-tuning: mean over data sets, 95 % interval")
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.axvline(0, color=THEME["muted"], linewidth=0.8)
        axes.axvline(pool.chance, color=THEME["muted"], linestyle="--", linewidth=1)
        for place, one in enumerate(found):
            colour = COLOURS[one.kind]
            axes.plot([one.tau.low, one.tau.high], [place, place], color=colour, alpha=0.35, linewidth=4, solid_capstyle="butt")
            axes.plot(one.tau_by_set, np.full(len(one.tau_by_set), place), "|", color=colour, alpha=0.6, markersize=6)
            axes.plot(one.tau.mean, place, MARKERS[one.kind], color=colour, markersize=6)
        axes.set_yticks(range(len(found)), [one.name for one in found])
        for label, one in zip(axes.get_yticklabels(), found, strict=True):
            label.set_color(COLOURS[one.kind])
            label.set_fontweight("bold" if one.name == "itm" else "normal")
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.7, len(found) - 0.3)
        handles = [
            Line2D([], [], color=COLOURS[kind], marker=MARKERS[kind], linewidth=4, alpha=0.8, label=label)
            for kind, label in {"score": "score", "control": "control", "ceiling": "ceiling of the ground truth"}.items()
        ]
        handles.append(Line2D([], [], color=THEME["ink"], marker="|", linestyle="", label="one data set"))
        handles.append(Line2D([], [], color=THEME["muted"], linestyle="--", label="95 % of random orders are below"))
        figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return figure
