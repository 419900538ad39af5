"""How contenders stand in a pool: as a terminal table and as Markdown."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from itm.benchmark.standings import PoolStandings, Standing
from itm.benchmark.verdict import verdict
from itm.core.text import fixed
from itm.report.terminal import plain_table, print_whole

HEADINGS = ("tau_w, 95 %", "worst set", "regret", "top-1", "top-3", "less ITM, 95 %", "pools of 10", "failed", "tied")
KINDS = {"score": "scores", "control": "controls", "ceiling": "ceilings"}


def title(pool: PoolStandings) -> str:
    """Say what the pool is and what chance reaches in it."""
    left_out = f" ({', '.join(pool.left_out)} left out, not measured on every model)" if pool.left_out else ""
    return (
        f"{pool.name}: {len(pool.models)} models, {len(pool.sets)} data sets{left_out}; "
        f"one random order in twenty reaches a mean tau_w of {fixed(pool.chance, 2)}"
    )


def print_standings(pool: PoolStandings, console: Console) -> None:
    """Print a line a contender, and below them where ITM stands; into a pipe, lines are as long as their content."""
    console.print(Text(title(pool), "bold"), soft_wrap=True)
    table = plain_table()
    for heading in ("", *HEADINGS):
        table.add_column(
            heading, justify="right" if heading in ("regret", "top-1", "top-3", "failed", "tied") else "left", no_wrap=True
        )
    for kind, own in by_kind(pool):
        table.add_section()
        for one in own:
            style = "bold" if one.name == "itm" else "" if kind == "score" else "dim" if kind == "ceiling" else "cyan"
            table.add_row(*map(Text, (one.name, *_cells(one))), style=style)
    print_whole(table, console)
    for sentence in verdict(pool).sentences:
        console.print(Text(sentence), soft_wrap=not console.is_terminal)
    console.print()


def markdown(pool: PoolStandings) -> str:
    """Return the same as Markdown, a table a kind of contender."""
    lines = [f"**{title(pool)}**"]
    for kind, own in by_kind(pool):
        lines += ["", f"| {KINDS[kind]} | {' | '.join(HEADINGS)} |", "|---" * (len(HEADINGS) + 1) + "|"]
        for one in own:
            name = f"**{one.name}**" if one.name == "itm" else one.name
            lines.append(f"| {name} | {' | '.join(_cells(one))} |")
    lines += ["", " ".join(verdict(pool).sentences)]
    return "\n".join(lines) + "\n"


def short_markdown(pools: Sequence[PoolStandings]) -> str:
    """Return one table of all pools: mean tau_w in each, and in the first what the pick costs and how often it is the best."""
    first = pools[0]
    others = [{one.name: one for one in pool.standings} for pool in pools[1:]]
    headings = [f"tau_w, {pool.name}" for pool in pools] + ["worst set", "regret", "top-1"]
    lines = [f"| {first.name}: {len(first.models)} models, {len(first.sets)} data sets | {' | '.join(headings)} |"]
    lines.append("|---" * (len(headings) + 1) + "|")
    for kind, own in by_kind(first):
        for one in own:
            name = {"score": f"**{one.name}**" if one.name == "itm" else one.name}.get(kind, f"*{one.name}* ({kind})")
            tau = f"{fixed(one.tau.mean, 2)} [{fixed(one.tau.low, 2)}, {fixed(one.tau.high, 2)}]"
            elsewhere = [fixed(pool[one.name].tau.mean, 2) if one.name in pool else "-" for pool in others]
            cells = (tau, *elsewhere, fixed(one.worst, 2), fixed(one.regret, 1), f"{100 * one.top1:.0f} %")
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def by_kind(pool: PoolStandings) -> Iterator[tuple[str, list[Standing]]]:
    """Yield each kind of contender with those who stood in the pool, in the order of the table."""
    for kind in KINDS:
        if own := [one for one in pool.standings if one.kind == kind]:
            yield kind, own


def _cells(one: Standing) -> tuple[str, ...]:
    against, spread = one.against_itm, one.sub_pools
    return (
        f"{fixed(one.tau.mean, 2)} [{fixed(one.tau.low, 2)}, {fixed(one.tau.high, 2)}]",
        f"{fixed(one.worst, 2)} {one.worst_set}",
        fixed(one.regret, 1),
        f"{100 * one.top1:.0f} %",
        f"{100 * one.top3:.0f} %",
        "-" if against is None else f"{against.mean:+.2f} [{against.low:+.2f}, {against.high:+.2f}]",
        "-" if spread is None else f"{fixed(spread.mean, 2)} ± {fixed(spread.deviation, 2)}",
        str(one.failed),
        str(one.tied),
    )
