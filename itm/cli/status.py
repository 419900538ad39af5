"""The command `itm status`."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli.options import ParamsFile, read_params, report_errors

if TYPE_CHECKING:
    from rich.console import Console

    from itm.refresh.records import Refresh
    from itm.refresh.stale import Cause, Stale
    from itm.store.layout import Store

MAX_NAMES = 5  # models and data sets per line; the others are counted
MOST_CAUSES = 20
COLUMNS = ("Refresh", "Began", "Took", "Extracted", "cached", "Scored", "cached", "Failed", "News")


def status(
    last: Annotated[int, typer.Option(min=1, help="Number of refreshes to show.")] = 5,
    params: ParamsFile = None,
) -> None:
    """Show the last refreshes, the recommended models, and stale results with reasons. Nothing is computed or changed.

    Images and unchanged weight files are not read. Changed data sets are detected by file names and times.
    """
    with report_errors():
        chosen, store = read_params(None, params)
        from rich.console import Console

        from itm.refresh.history import next_number, read_history
        from itm.refresh.stale import find_stale

        console = Console(highlight=False)
        history = read_history(store, last + 1)
        number = history[-1].number if history else 0
        _print_history(history, last, console)
        for missing in range(number + 1, next_number(store)):
            _print(console, f"Refresh {missing} has no record: it was interrupted, or is running.")
        _print_recommended(history, store, console)
        with _muted("itm.ranking.scoring", "itm.features.extract", "itm.data.index"):
            stale = find_stale(chosen, store, history[-1] if history else None)
        _print_stale(stale, console)


@contextmanager
def _muted(*names: str) -> Iterator[None]:
    """Mute loggers. Looking up caches logs warnings that results are computed again, which is not true here."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _print(console: "Console", text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def _print_history(history: "Sequence[Refresh]", last: int, console: "Console") -> None:
    from rich.text import Text

    from itm.refresh import text as change_text
    from itm.report.terminal import plain_table, print_whole

    if not history:
        _print(console, "There is no refresh yet. Run `itm refresh`.")
        return
    table = plain_table(title=Text("The last refreshes"))
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("Began", "News") else "right")
    previous = dict(zip([refresh.number for refresh in history[1:]], history, strict=False))
    for refresh in history[-last:]:
        work = refresh.work
        counts = (work.extracted, work.features_cached, work.scored, work.scores_cached, work.failed)
        duration = change_text.duration(sum(refresh.steps.values()))
        texts = (f"{refresh.number}", change_text.started(refresh), duration, *(f"{count:,}" for count in counts))
        table.add_row(*texts, Text(_news(refresh, previous.get(refresh.number))))
    print_whole(table, console)
    for problem in history[-1].problems:
        _print(console, f"Refresh {history[-1].number}: {problem}")


def _news(refresh: "Refresh", before: "Refresh | None") -> str:
    """Return the newly recommended models."""
    from itm.core.text import join_names

    if before is None:
        return "first" if refresh.number == 1 else ""
    known = {standing.data: standing.recommended for standing in before.standings}
    new = [
        f"{standing.recommended} for {standing.data}"
        for standing in refresh.standings
        if known.get(standing.data) not in (None, standing.recommended)
    ]
    return join_names(new, MAX_NAMES) if new else "none"


def _print_recommended(history: "Sequence[Refresh]", store: "Store", console: "Console") -> None:
    from itm.ranking.recommend import read_recommended

    recommended = read_recommended(store)
    standings = {standing.data: standing for standing in history[-1].standings} if history else {}
    if recommended:
        _print(console, "\nRecommended")
    for data, model in sorted(recommended.items()):
        standing = standings.get(data)
        place = next((place for place in standing.places if place.model == model), None) if standing else None
        if standing is None:
            state = "the last refresh did not include this data set"
        elif place is None or place.rank is None:
            state = "not ranked by the last refresh"
        elif place.rank == 1:
            state = "first"
        else:
            distance = "within" if place.tied_with_first else "beyond"
            state = f"rank {place.rank}, {distance} noise of {standing.winner}"
        _print(console, f"  {data}: {model} ({state})")


def _print_stale(stale: "Stale", console: "Console") -> None:
    from itm.core.text import pluralize

    if stale.count:
        _print(console, f"\nStale: {stale.count:,} of {pluralize(stale.pairs, 'pair')}. The next refresh computes them.")
    else:
        _print(console, f"\nNone of {pluralize(stale.pairs, 'pair')} is stale.")
    for cause in stale.causes[:MOST_CAUSES]:
        _print(console, f"  {_cause(cause)}")
    if rest := stale.causes[MOST_CAUSES:]:
        pairs = pluralize(sum(len(cause.pairs) for cause in rest), "pair")
        _print(console, f"  {pairs} for {pluralize(len(rest), 'other reason')}")
    for cause in stale.left_out[:MOST_CAUSES]:
        _print(console, f"Left out: {_cause(cause)}")
    for data, reason in stale.data.items():
        _print(console, f"{data}: {reason}")


def _cause(cause: "Cause") -> str:
    from itm.core.text import join_names, pluralize

    models, data_sets = (join_names(list(dict.fromkeys(names)), MAX_NAMES) for names in zip(*cause.pairs, strict=True))
    return f"{pluralize(len(cause.pairs), 'pair')}: {cause.text} ({models} on {data_sets})"
