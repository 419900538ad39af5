"""The results of a pool as a terminal table and as Markdown."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from itm.agreement import Spread
from itm.benchmark.results import PoolResults, PredictorResult
from itm.benchmark.verdict import verdict, with_bounds
from itm.core.text import format_fixed, pluralize
from itm.report.terminal import plain_table, print_whole

HEADINGS = ("tau_w, 95 %", "worst set", "regret", "top-1", "top-3", "minus ITM, 95 %", "pools of 10", "failed", "tied")
KINDS = {"score": "scores", "control": "controls", "ceiling": "ceilings"}


def title(pool: PoolResults) -> str:
    """Return the size of a pool and what chance reaches in it."""
    left_out = f" ({', '.join(pool.left_out)} left out, not measured on every model)" if pool.left_out else ""
    return (
        f"{pool.name}: {pluralize(len(pool.models), 'model')}, {pluralize(len(pool.sets), 'data set')}{left_out}; "
        f"5 % of random orders reach a mean tau_w of {format_fixed(pool.chance, 2)}"
    )


def print_standings(pool: PoolResults, console: Console) -> None:
    """Print one line per predictor and the verdict."""
    console.print(Text(title(pool), "bold"), soft_wrap=True)
    table = plain_table()
    for heading in ("", *HEADINGS):
        table.add_column(
            heading, justify="right" if heading in ("regret", "top-1", "top-3", "failed", "tied") else "left", no_wrap=True
        )
    for kind, own in by_kind(pool.results):
        table.add_section()
        for one in own:
            style = "bold" if one.name == "itm" else "" if kind == "score" else "dim" if kind == "ceiling" else "cyan"
            table.add_row(*map(Text, (one.name, *_cells(one))), style=style)
    print_whole(table, console)
    for sentence in verdict(pool):
        console.print(Text(sentence.removeprefix(f"{pool.name}: ")), soft_wrap=not console.is_terminal)
    console.print()


def markdown(pool: PoolResults) -> str:
    """Return the results as Markdown, with one table per kind of predictor."""
    lines = [f"**{title(pool)}**"]
    for kind, own in by_kind(pool.results):
        lines += ["", f"| {KINDS[kind]} | {' | '.join(HEADINGS)} |", "|---" * (len(HEADINGS) + 1) + "|"]
        for one in own:
            name = f"**{one.name}**" if one.name == "itm" else one.name
            lines.append(f"| {name} | {' | '.join(_cells(one))} |")
    lines += ["", " ".join(verdict(pool))]
    return "\n".join(lines) + "\n"


def short_markdown(pools: Sequence[PoolResults]) -> str:
    """Return one table of all pools: mean tau_w in each pool, and worst set, regret and top-1 in the first one."""
    first = pools[0]
    others = [{one.name: one for one in pool.results} for pool in pools[1:]]
    headings = [f"tau_w, {pool.name}" for pool in pools] + ["worst set", "regret", "top-1"]
    size = f"{pluralize(len(first.models), 'model')}, {pluralize(len(first.sets), 'data set')}"
    lines = [f"| {first.name}: {size} | {' | '.join(headings)} |"]
    lines.append("|---" * (len(headings) + 1) + "|")
    for kind, own in by_kind(first.results):
        for one in own:
            name = {"score": f"**{one.name}**" if one.name == "itm" else one.name}.get(kind, f"*{one.name}* ({kind})")
            elsewhere = [format_fixed(pool[one.name].tau.mean, 2) if one.name in pool else "-" for pool in others]
            cells = (
                with_bounds(one.tau),
                *elsewhere,
                format_fixed(one.worst, 2),
                format_fixed(one.regret, 1),
                f"{100 * one.top1:.0f} %",
            )
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def by_kind(results: Sequence[PredictorResult]) -> Iterator[tuple[str, list[PredictorResult]]]:
    """Yield each kind of predictor with its results, in the order of the table."""
    for kind in KINDS:
        if own := [one for one in results if one.kind == kind]:
            yield kind, own


def with_deviation(spread: Spread | None) -> str:
    return "-" if spread is None else f"{format_fixed(spread.mean, 2)} ± {format_fixed(spread.deviation, 2)}"


def _cells(one: PredictorResult) -> tuple[str, ...]:
    against = one.difference_to_itm
    return (
        with_bounds(one.tau),
        f"{format_fixed(one.worst, 2)} {one.worst_set}",
        format_fixed(one.regret, 1),
        f"{100 * one.top1:.0f} %",
        f"{100 * one.top3:.0f} %",
        "-" if against is None else with_bounds(against, "+"),
        with_deviation(one.sub_pools),
        str(one.failed),
        str(one.tied),
    )
