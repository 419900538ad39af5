"""What a refresh changed in plain sentences: the same words in a terminal, in Markdown and on the page."""

import re
from collections.abc import Iterable, Iterator, Sequence

from itm.core.rankings import Estimate
from itm.core.text import counted, decimals, fixed, interval, listed
from itm.refresh.records import DataChange, Move, Refresh

HEADLINE, NAMED = 3, 5  # what the headline and what other sentences name; the others are counted


def headline(refresh: Refresh, changes: Sequence[DataChange]) -> str:
    """Say in one sentence whether there is news: another model that is recommended, or none."""
    held = {standing.data for standing in refresh.standings}
    news = [f"{change.recommended or 'none'} for {change.data}" for change in changes if change.is_news]
    first = [change.data for change in changes if change.verdict == "first ranking"]
    noise = [change.data for change in changes if change.verdict == "within noise" and not change.is_news]
    broken = [change.data for change in changes if change.verdict == "nothing ranked" and change.data in held]
    parts = []
    if news:
        parts.append(f"Another model is recommended than before: {listed(news, HEADLINE)}")
    elif not first:
        parts.append("No news: what is recommended stays as it was")
    if first:
        parts.append(f"{'f' if parts else 'F'}irst ranking of {listed(first, HEADLINE)}")
    if noise:
        parts.append(f"the winner changed within noise on {listed(noise, HEADLINE)}")
    if broken:
        parts.append(f"nothing could be ranked on {listed(broken, HEADLINE)}")
    return f"{'; '.join(parts)}."


def is_quiet(change: DataChange) -> bool:
    """Say whether there is nothing to tell of a data set but that it is as it was."""
    told = change.new or change.gone or change.moved or change.failed or change.causes
    return change.verdict == "same winner" and not change.is_news and not told


def verdict(change: DataChange) -> str:
    """Say who is first on a data set, by how much above whom, whether that is noise, and what is recommended."""
    if change.winner is None:
        return f"Nothing is ranked{_recommended(change)}."
    words = {"first ranking": "is first in the first ranking", "same winner": "stays first"}
    first = f"{change.winner} {words.get(change.verdict, 'is first now')}"
    return f"{first}{_lead(change)}{_no_longer_ranked(change)}{_recommended(change)}."


def _lead(change: DataChange) -> str:
    lead = change.lead
    if lead is None:
        return ""
    difference = Estimate(lead.difference, lead.low, lead.high, ())
    places = decimals([difference])
    while lead.low and not float(fixed(lead.low, places)):  # on which side of zero it lies is the point
        places += 1
    noise = "beyond" if lead.low > 0 else "within"
    return f", {fixed(lead.difference, places)} {interval(difference, places)} above {lead.over}, {noise} noise"


def _no_longer_ranked(change: DataChange) -> str:
    """Name what the winner could not be compared with."""
    known = {change.winner, change.lead.over if change.lead else None, None}
    if change.recommended_before not in known:
        return f"; {change.recommended_before}, recommended before, is no longer ranked"
    if change.winner_before not in known and change.lead is None:
        return f"; {change.winner_before}, first before, is no longer ranked"
    return ""


def _recommended(change: DataChange) -> str:
    model, same = change.recommended, change.recommended == change.winner
    if model is None:
        return ""
    if change.is_news:
        within = change.lead is not None and change.lead.low <= 0 and change.lead.over == change.recommended_before
        asked = ", since a change within noise was asked for" if within else ""
        return f": {'it' if same else model} is recommended now{asked}"
    if same and change.lead is None and change.verdict in ("first ranking", "same winner"):
        return " and recommended"
    return f": {'it' if same else model} {'is' if change.recommended_before is None else 'stays'} recommended"


def notes(refresh: Refresh, change: DataChange) -> Iterator[tuple[str, str]]:
    """Yield heading and text of all else that changed on a data set."""
    places = {place.model: place for standing in refresh.standings if standing.data == change.data for place in standing.places}
    if change.new:
        yield "New", listed([f"{model} (rank {places[model].rank})" for model in change.new], NAMED)
    if change.gone:
        yield "Gone", listed(change.gone, NAMED)
    if change.moved:
        moves = [f"{move.model} from {move.before} to {move.now}" for move in by_jump(change.moved)]
        yield "Moved", listed(moves, NAMED)
    for model in change.failed[:NAMED]:
        yield "Failed", f"{model}: {places[model].reason}"
    if len(change.failed) > NAMED:
        yield "Failed", f"{counted(len(change.failed) - NAMED, 'model')} more"
    if change.causes:
        yield "Why", "; ".join(change.causes)


def by_jump(moves: Iterable[Move]) -> list[Move]:
    """Return the models that moved furthest first."""
    return sorted(moves, key=lambda move: (-abs(move.now - move.before), move.now))


def started(refresh: Refresh) -> str:
    """Return day and minute at which a refresh began."""
    zone = " UTC" if refresh.started.endswith(("Z", "+00:00")) else ""
    return f"{refresh.started[:16].replace('T', ' ')}{zone}"


def work(refresh: Refresh) -> str:
    """Say how much was computed and how much was found."""
    done = refresh.work
    speed = f", {done.images_per_second:,.0f} images a second of a worker" if done.images_per_second else ""
    failed = f"; {counted(done.failed, 'pair')} failed" if done.failed else ""
    return (
        f"Extracted {counted(done.extracted, 'pair')}, {done.features_cached:,} found{speed}; "
        f"computed {counted(done.scored, 'score')}, {done.scores_cached:,} found{failed}."
    )


def seconds(refresh: Refresh) -> str:
    """Say how long each step took by the wall."""
    steps = [f"{step} {duration(taken)}" for step, taken in refresh.steps.items()]
    return f"Took {duration(sum(refresh.steps.values()))}: {', '.join(steps)}." if steps else ""


def duration(taken: float) -> str:
    """Write seconds as people say them.

    >>> duration(0.42), duration(75), duration(3720)
    ('0.4 s', '1 min 15 s', '1 h 2 min')
    """
    if taken < 59.95:
        return f"{taken:.1f} s" if taken < 9.95 else f"{taken:.0f} s"
    minutes, rest = divmod(round(taken), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def sentences(refresh: Refresh, changes: Sequence[DataChange]) -> Iterator[str]:
    """Yield the lines that say in a terminal what a refresh came to, the headline first."""
    yield headline(refresh, changes)
    for change in changes:
        if not is_quiet(change):
            yield f"{change.data}: {verdict(change)}"
            yield from (f"  {heading}: {text}" for heading, text in notes(refresh, change))
    if quiet := [change.data for change in changes if is_quiet(change)]:
        yield f"As before: {listed(quiet, NAMED)}."
    yield work(refresh)
    yield from filter(None, [seconds(refresh)])
    yield from refresh.problems


def markdown(refresh: Refresh, changes: Sequence[DataChange]) -> str:
    """Return the change report as Markdown in which no name can become markup."""
    told = [change for change in changes if not is_quiet(change)]
    quiet = [change for change in changes if is_quiet(change)]
    lines = [f"# Refresh {refresh.number}", "", escaped(headline(refresh, changes)), ""]
    for change in told:
        lines += [f"## {escaped(change.data)}", "", escaped(verdict(change)), ""]
        lines += [f"- {heading}: {escaped(text)}" for heading, text in notes(refresh, change)]
        lines += [""] if lines[-1] else []
    if quiet:
        lines += ["## As before", "", *(f"- {escaped(f'{change.data}: {verdict(change)}')}" for change in quiet), ""]
    if refresh.problems:
        lines += ["## Problems", "", *(f"- {escaped(problem)}" for problem in refresh.problems), ""]
    done = f"Began {started(refresh)}, ranked by {refresh.rank_by}. {work(refresh)} {seconds(refresh)}"
    lines += ["## Work", "", escaped(done)]
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str) -> str:
    r"""Write text so that Markdown shows it as it is, in one line.

    >>> escaped("a_b <i> *c* [x](y)")
    'a_b &lt;i&gt; \\*c\\* [x]\\(y)'
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*|~#$])", r"\\\1", text)
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # between letters it is no markup, and most names have some there
    return re.sub(r"\]([(:\[])", r"]\\\1", text)
