"""The command `itm status`. Heavy imports stand inside, as in all commands."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli.options import ParamsFile, errors_told, settings

if TYPE_CHECKING:
    from rich.console import Console

    from itm.refresh.records import Refresh
    from itm.refresh.stale import Cause, Stale
    from itm.store.layout import Store

NAMED = 5  # models and data sets that a line names; the others are counted
MOST_CAUSES = 20
COLUMNS = ("Refresh", "Began", "Took", "Extracted", "cached", "Scored", "cached", "Failed", "News")


def status(
    last: Annotated[int, typer.Option(min=1, help="How many refreshes to show.")] = 5,
    params: ParamsFile = None,
) -> None:
    """Show the last refreshes, what is recommended, and what is stale and why; computes and changes nothing.

    Weight files that look unchanged are not read, and no images are: whether those of a data set are others is told from names
    and times.
    """
    with errors_told():
        chosen, store = settings(None, params)
        from rich.console import Console

        from itm.refresh.history import next_number, read_history
        from itm.refresh.stale import find_stale

        console = Console(highlight=False)
        history = read_history(store, last + 1)
        number = history[-1].number if history else 0
        _print_history(history, last, console)
        for missing in range(number + 1, next_number(store)):
            _say(console, f"Refresh {missing} has no record: it was killed, or is at work now.")
        _print_recommended(history, store, console)
        with _unheard("itm.ranking.scoring", "itm.features.extract", "itm.data.index"):
            found = find_stale(chosen, store, history[-1] if history else None)
        _print_stale(found, console)


@contextmanager
def _unheard(*names: str) -> Iterator[None]:
    """Let what looks up be silent: it would say of what it passes over that it is computed again."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _say(console: "Console", text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def _print_history(history: "Sequence[Refresh]", last: int, console: "Console") -> None:
    from rich.text import Text

    from itm.refresh import text as change_text
    from itm.report.terminal import plain_table, print_whole

    if not history:
        _say(console, "There is no refresh yet; `itm refresh` makes the first.")
        return
    table = plain_table(title=Text("The last refreshes"))
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("Began", "News") else "right")
    earlier = dict(zip([one.number for one in history[1:]], history, strict=False))
    for one in history[-last:]:
        work = one.work
        counts = (work.extracted, work.features_cached, work.scored, work.scores_cached, work.failed)
        took = change_text.duration(sum(one.steps.values()))
        texts = (f"{one.number}", change_text.started(one), took, *(f"{count:,}" for count in counts))
        table.add_row(*texts, Text(_news(one, earlier.get(one.number))))
    print_whole(table, console)
    for problem in history[-1].problems:
        _say(console, f"Refresh {history[-1].number}: {problem}")


def _news(one: "Refresh", before: "Refresh | None") -> str:
    """Say which models were recommended anew."""
    from itm.core.text import listed

    if before is None:
        return "first" if one.number == 1 else ""
    known = {standing.data: standing.recommended for standing in before.standings}
    anew = [
        f"{standing.recommended} for {standing.data}"
        for standing in one.standings
        if known.get(standing.data) not in (None, standing.recommended)
    ]
    return listed(anew, NAMED) if anew else "none"


def _print_recommended(history: "Sequence[Refresh]", store: "Store", console: "Console") -> None:
    from itm.ranking.recommend import read_recommended

    recommended = read_recommended(store)
    standings = {standing.data: standing for standing in history[-1].standings} if history else {}
    if recommended:
        _say(console, "\nRecommended")
    for data, model in sorted(recommended.items()):
        standing = standings.get(data)
        place = next((place for place in standing.places if place.model == model), None) if standing else None
        if standing is None:
            told = "not among what the last refresh ranked"
        elif place is None or place.rank is None:
            told = "not ranked by the last refresh"
        elif place.rank == 1:
            told = "first"
        else:
            apart = "within" if place.tied_with_first else "beyond"
            told = f"rank {place.rank}, {apart} noise of {standing.winner}"
        _say(console, f"  {data}: {model} ({told})")


def _print_stale(found: "Stale", console: "Console") -> None:
    from itm.core.text import counted

    if found.count:
        _say(console, f"\nStale: {found.count:,} of {counted(found.pairs, 'pair')}, which the next refresh computes")
    else:
        _say(console, f"\nNothing is stale of {counted(found.pairs, 'pair')}.")
    for cause in found.causes[:MOST_CAUSES]:
        _say(console, f"  {_cause(cause)}")
    if rest := found.causes[MOST_CAUSES:]:
        pairs = counted(sum(len(cause.pairs) for cause in rest), "pair")
        _say(console, f"  {pairs} for {counted(len(rest), 'other reason')}")
    for cause in found.left_out[:MOST_CAUSES]:
        _say(console, f"Left out: {_cause(cause)}")
    for data, told in found.data.items():
        _say(console, f"{data}: {told}")


def _cause(cause: "Cause") -> str:
    from itm.core.text import counted, listed

    models, data_sets = (list(dict.fromkeys(one)) for one in zip(*cause.pairs, strict=True))
    return f"{counted(len(cause.pairs), 'pair')}: {cause.text} ({listed(models, NAMED)} on {listed(data_sets, NAMED)})"
