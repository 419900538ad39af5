"""The changes of a refresh in sentences, which the terminal, the Markdown report and the page share."""

import re
from collections.abc import Iterable, Iterator, Sequence

from itm.core.rankings import Estimate
from itm.core.text import decimals, format_fixed, interval, join_names, pluralize
from itm.refresh.records import DataChange, Move, Refresh

HEADLINE, NAMED = 3, 5  # names in the headline and in other sentences; the others are counted


def headline(refresh: Refresh, changes: Sequence[DataChange]) -> str:
    """Return in one sentence whether another model is recommended."""
    refreshed = {standing.data for standing in refresh.standings}
    news = [f"{change.recommended or 'none'} for {change.data}" for change in changes if change.is_news]
    first = [change.data for change in changes if change.verdict == "first ranking"]
    noise = [change.data for change in changes if change.verdict == "within noise" and not change.is_news]
    broken = [change.data for change in changes if change.verdict == "nothing ranked" and change.data in refreshed]
    parts = []
    if news:
        parts.append(f"New recommendation: {join_names(news, HEADLINE)}")
    elif not first:
        parts.append("No new recommendation")
    if first:
        parts.append(f"{'f' if parts else 'F'}irst ranking of {join_names(first, HEADLINE)}")
    if noise:
        parts.append(f"a tied model is now first on {join_names(noise, HEADLINE)}")
    if broken:
        parts.append(f"nothing could be ranked on {join_names(broken, HEADLINE)}")
    return f"{'; '.join(parts)}."


def is_quiet(change: DataChange) -> bool:
    """Return whether nothing changed on a data set."""
    changed = change.new or change.gone or change.moved or change.failed or change.causes
    return change.verdict == "same winner" and not change.is_news and not changed


def verdict(change: DataChange) -> str:
    """Return which model is first on a data set, how it compares with the one before, and which one is recommended."""
    if change.winner is None:
        return " ".join(["Nothing could be ranked.", *_recommendation(change)])
    if change.verdict == "first ranking":
        first = f"{change.winner} is first in the first ranking."
    else:
        first = f"{change.winner} is {'still' if change.verdict == 'same winner' else 'now'} first."
    return " ".join([first, *_lead(change), *_no_longer_ranked(change), *_recommendation(change)])


def _lead(change: DataChange) -> Iterator[str]:
    lead = change.lead
    if lead is None:
        return
    difference = Estimate(lead.difference, lead.low, lead.high, ())
    places = decimals([difference])
    while lead.low and not float(format_fixed(lead.low, places)):  # the sign of this end decides
        places += 1
    found = f"by {format_fixed(lead.difference, places)} {interval(difference, places)}"
    yield (
        f"It is clearly better than {lead.over}, {found}." if lead.low > 0 else f"It leads {lead.over} {found}, within noise."
    )


def _no_longer_ranked(change: DataChange) -> Iterator[str]:
    """Yield which model the first one could not be compared with."""
    known = {change.winner, change.lead.over if change.lead else None, None}
    if change.recommended_before not in known:
        yield f"{change.recommended_before}, recommended before, is no longer ranked."
    elif change.winner_before not in known and change.lead is None:
        yield f"{change.winner_before}, first before, is no longer ranked."


def _recommendation(change: DataChange) -> Iterator[str]:
    if change.recommended is None:
        return
    who = "It" if change.recommended == change.winner else change.recommended
    if change.is_news:
        within = change.lead is not None and change.lead.low <= 0 and change.lead.over == change.recommended_before
        yield f"{who} is now recommended{', because refresh.within_noise is set' if within else ''}."
    else:
        yield f"{who} is {'' if change.recommended_before is None else 'still '}recommended."


def notes(refresh: Refresh, change: DataChange) -> Iterator[tuple[str, str]]:
    """Yield the heading and the text of every other change on a data set."""
    places = refresh.places(change.data)
    if change.new:
        yield "New", join_names([f"{model} (rank {places[model].rank})" for model in change.new], NAMED)
    if change.gone:
        yield "Gone", join_names(change.gone, NAMED)
    if change.moved:
        moves = [f"{move.model} from {move.before} to {move.now}" for move in by_jump(change.moved)]
        yield "Moved", join_names(moves, NAMED)
    for model in change.failed[:NAMED]:
        yield "Failed", f"{model}: {places[model].reason}"
    if len(change.failed) > NAMED:
        yield "Failed", f"{pluralize(len(change.failed) - NAMED, 'model')} more"
    if change.causes:
        yield "Possible causes", "; ".join(change.causes)


def by_jump(moves: Iterable[Move]) -> list[Move]:
    return sorted(moves, key=lambda move: (-abs(move.now - move.before), move.now))


def ranked_by(refresh: Refresh) -> str:
    names = list(dict.fromkeys(standing.rank_by for standing in refresh.standings))
    return join_names(names, len(names)) if names else "nothing"


def started(refresh: Refresh) -> str:
    """Return the day and minute at which a refresh started."""
    zone = " UTC" if refresh.started.endswith(("Z", "+00:00")) else ""
    return f"{refresh.started[:16].replace('T', ' ')}{zone}"


def work(refresh: Refresh) -> str:
    done = refresh.work
    speed = f" at {done.images_per_second:,.0f} images per second and worker" if done.images_per_second else ""
    failed = f"; {pluralize(done.failed, 'pair')} failed" if done.failed else ""
    return (
        f"Extracted {pluralize(done.extracted, 'pair')}{speed} ({done.features_cached:,} cached); "
        f"computed {pluralize(done.scored, 'score')} ({done.scores_cached:,} cached){failed}."
    )


def seconds(refresh: Refresh) -> str:
    steps = [f"{step} {duration(taken)}" for step, taken in refresh.steps.items()]
    return f"Took {duration(sum(refresh.steps.values()))}: {', '.join(steps)}." if steps else ""


def duration(taken: float) -> str:
    """Return seconds as text in the usual units.

    >>> duration(0.42), duration(75), duration(3720)
    ('0.4 s', '1 min 15 s', '1 h 2 min')
    """
    if taken < 59.95:
        return f"{taken:.1f} s" if taken < 9.95 else f"{taken:.0f} s"
    minutes, rest = divmod(round(taken), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def sentences(refresh: Refresh, changes: Sequence[DataChange]) -> Iterator[str]:
    """Yield the lines about a refresh for a terminal, the headline first."""
    yield headline(refresh, changes)
    for change in changes:
        if not is_quiet(change):
            yield f"{change.data}: {verdict(change)}"
            yield from (f"  {heading}: {text}" for heading, text in notes(refresh, change))
    if quiet := [change.data for change in changes if is_quiet(change)]:
        yield f"Unchanged: {join_names(quiet, NAMED)}."
    yield work(refresh)
    yield from filter(None, [seconds(refresh)])
    yield from refresh.problems


def markdown(refresh: Refresh, changes: Sequence[DataChange]) -> str:
    """Return the change report as Markdown, with every name escaped."""
    changed = [change for change in changes if not is_quiet(change)]
    quiet = [change for change in changes if is_quiet(change)]
    lines = [f"# Refresh {refresh.number}", "", escaped(headline(refresh, changes)), ""]
    for change in changed:
        lines += [f"## {escaped(change.data)}", "", escaped(verdict(change)), ""]
        lines += [f"- {heading}: {escaped(text)}" for heading, text in notes(refresh, change)]
        lines += [""] if lines[-1] else []
    if quiet:
        lines += ["## Unchanged", "", *(f"- {escaped(f'{change.data}: {verdict(change)}')}" for change in quiet), ""]
    if refresh.problems:
        lines += ["## Problems", "", *(f"- {escaped(problem)}" for problem in refresh.problems), ""]
    done = f"Started {started(refresh)}, ranked by {ranked_by(refresh)}. {work(refresh)} {seconds(refresh)}"
    lines += ["## Work", "", escaped(done)]
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str) -> str:
    r"""Return text in one line that Markdown shows unchanged.

    >>> escaped("a_b <i> *c* [x](y)")
    'a_b &lt;i&gt; \\*c\\* [x]\\(y)'
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*|~#$])", r"\\\1", text)
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # between letters it is not markup, and many names have one there
    return re.sub(r"\]([(:\[])", r"]\\\1", text)
