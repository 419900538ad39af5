"""The evaluation as one page that opens without a network: where ITM stands in every pool, the tables and the figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from itm.benchmark.standings import SUB_POOL, PoolStandings, Standing
from itm.benchmark.standings_figure import standings_figure
from itm.benchmark.standings_table import KINDS, by_kind, title
from itm.benchmark.verdict import Verdict, verdict
from itm.core.text import counted, fixed, listed
from itm.report.figures import THEME
from itm.report.page import Picture, inline, template, write_index
from itm.report.page_tables import Cell, Column

CAPTION = (
    "A mark is the mean over data sets, the bar behind it the 95 % interval, and a tick one data set. Right of the dashed line "
    "lies one random order in twenty."
)


@dataclass(frozen=True)
class Row:
    """A contender's line of the table."""

    standing: Standing
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class PoolPanel:
    """Everything the page says of one pool; `groups` holds scores, controls and ceilings under their headings."""

    name: str
    pool: PoolStandings
    title: str
    verdict: Verdict
    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    picture: Picture


def render_evaluation(pools: Sequence[PoolStandings], *, seeds: int | None = None, image_sizes: Sequence[int] = ()) -> str:
    """Return the page; the same standings give the same bytes."""
    panels = [_panel(pool, number) for number, pool in enumerate(pools, start=1)]
    measured = _measured(pools, seeds, image_sizes)
    return template("evaluation.html", "itm.benchmark").render(panels=panels, measured=measured, theme=THEME)


def write_evaluation_page(
    pools: Sequence[PoolStandings], folder: Path, *, seeds: int | None = None, image_sizes: Sequence[int] = ()
) -> Path:
    """Write the page to index.html in `folder` and return its path; `image_sizes` are in pixels a side.

    Raises
    ------
    StoreError
        If the folder cannot be written to; an older page is then still whole.
    """
    return write_index(folder, render_evaluation(pools, seeds=seeds, image_sizes=image_sizes))


def _measured(pools: Sequence[PoolStandings], seeds: int | None, image_sizes: Sequence[int]) -> str:
    """Say what the ground truth is made of, as far as that is known."""
    models = counted(len({model for pool in pools for model in pool.models}), "model")
    sets = counted(len({name for pool in pools for name in pool.sets}), "data set")
    over = f", the mean of {counted(seeds, 'seed')}" if seeds else ""
    sizes = [str(size) for size in sorted(set(image_sizes))]
    at = f", on images of {listed(sizes, len(sizes))} pixels a side" if sizes else ""
    return f"Measured is the accuracy of {models} after full fine-tuning on {sets}{over}{at}."


def _panel(pool: PoolStandings, number: int) -> PoolPanel:
    name, within = f"pool-{number}", any(one.sub_pools for one in pool.standings)
    groups = tuple(
        (KINDS[kind].capitalize(), tuple(Row(one, tuple(_cells(one, within))) for one in own)) for kind, own in by_kind(pool)
    )
    svg = inline(standings_figure(pool), f"{name}-", f"Mean tau_w of every contender in {pool.name}")
    return PoolPanel(name, pool, title(pool), verdict(pool), tuple(_columns(within)), groups, Picture(svg, CAPTION))


def _columns(within: bool) -> Iterator[Column]:
    """Yield the columns after the name; the first is the one that each group is in the order of."""
    yield Column("tau_w", note="95 % interval")
    yield Column("Lowest", note="and where")
    yield Column("Regret", first="ascending", note="points")
    yield Column("Top-1", note="% of sets")
    yield Column("Top-3", note="% of sets")
    yield Column("Less ITM", note="95 % interval")
    if within:
        yield Column(f"Pools of {SUB_POOL}", note="mean ± deviation")
    yield Column("Failed", first="ascending", note="pairs")
    yield Column("Tied", first="ascending", note="pairs")


def _cells(one: Standing, within: bool) -> Iterator[Cell]:
    against, spread = one.against_itm, one.sub_pools
    yield Cell(fixed(one.tau.mean, 2), one.tau.mean, f"[{fixed(one.tau.low, 2)}, {fixed(one.tau.high, 2)}]")
    yield Cell(fixed(one.worst, 2), one.worst, one.worst_set)
    yield Cell(fixed(one.regret, 1), one.regret)
    yield Cell(fixed(100 * one.top1, 0), one.top1)
    yield Cell(fixed(100 * one.top3, 0), one.top3)
    if against is None:
        yield Cell("-")
    else:
        yield Cell(fixed(against.mean, 2, "+"), against.mean, f"[{fixed(against.low, 2, '+')}, {fixed(against.high, 2, '+')}]")
    if within:
        yield Cell("-") if spread is None else Cell(f"{fixed(spread.mean, 2)} ± {fixed(spread.deviation, 2)}", spread.mean)
    yield Cell(str(one.failed), one.failed)
    yield Cell(str(one.tied), one.tied)
