"""The command `itm compare`."""

from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli.options import ParamsFile, read_params, report_errors

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from itm.core.params import Params
    from itm.core.rankings import DataRanking, Ranking
    from itm.refresh.records import Refresh
    from itm.store.layout import Store


def compare(
    data: Annotated[list[str], typer.Argument(help="Data sets of a ranking, by the names that `itm rank` prints.")],
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Also show what changed since then, for example 2026-11-30 or 2026-11-30T12:00."),
    ] = None,
    ranking: Annotated[
        str | None, typer.Option(help="Name printed by `itm rank`, or its beginning, if several rankings have the data set.")
    ] = None,
    params: ParamsFile = None,
) -> None:
    """Compare the candidates of a data set: all scores, fine-tuned accuracy, latency and size.

    With --since, they are compared with the last refresh before that date; `itm refresh` records the history.
    """
    with report_errors():
        from itm.core.errors import ItmError, ParamsError

        chosen, store = read_params(None, params)
        when = _date(since) if since else None
        from rich.console import Console

        console, errors = Console(highlight=False), []
        for name in dict.fromkeys(data):
            try:
                _compare(name, ranking, when, chosen, store, console)
            except ItmError as error:  # the others are compared
                errors.append(str(error))
        if errors:
            raise ParamsError("\n".join(errors))


def _compare(
    name: str, trial: str | None, since: "datetime | None", params: "Params", store: "Store", console: "Console"
) -> None:
    from itm.finetuning.table import finetuned_accuracies
    from itm.report.comparison import Extra, print_comparison
    from itm.report.details import scored_splits
    from itm.store.find_ranking import find_ranking

    found, ranking, data = find_ranking(name, store, trial)
    finetuned = finetuned_accuracies(data, found)
    refresh = _refresh_before(data.data, since, found) if since else None
    before = {model: (place.rank, place.value) for model, place in refresh.places(data.data).items()} if refresh else None
    print_comparison(data, scored_splits(ranking), Extra(finetuned, before), console)
    if refresh:
        _print_changes(ranking, data, refresh, params, found, console)


def _date(text: str) -> "datetime":
    """Return a date or time of the user, who writes local time."""
    from datetime import datetime

    from itm.core.errors import ParamsError

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ParamsError(f"--since: {text!r} is no date; write it as 2026-11-30 or 2026-11-30T12:00.") from None
    return found.astimezone()


def _refresh_before(data: str, since: "datetime", store: "Store") -> "Refresh":
    """Return the last refresh before a date that ranked a data set."""
    from datetime import UTC, datetime

    from itm.core.errors import StoreError
    from itm.refresh.history import read_history
    from itm.refresh.text import started

    history = [refresh for refresh in read_history(store) if any(place.rank for place in refresh.places(data).values())]
    if not history:
        raise StoreError(f"{data}: no refresh has ranked it, so there is no history; `itm refresh` records it.")

    def began(refresh: "Refresh") -> datetime:
        found = datetime.fromisoformat(refresh.started)
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    earlier = [refresh for refresh in history if began(refresh) < since]
    if not earlier:
        raise StoreError(
            f"{data}: no refresh ranked it before {since:%Y-%m-%d %H:%M}; the first one began at {started(history[0])}."
        )
    return earlier[-1]


def _print_changes(
    ranking: "Ranking", data: "DataRanking", then: "Refresh", params: "Params", store: "Store", console: "Console"
) -> None:
    """Print what changed on a data set from a refresh to the ranking."""
    from dataclasses import replace

    from itm.ranking.recommend import read_recommended
    from itm.refresh import text
    from itm.refresh.changes import compare, options_key
    from itm.refresh.history import standing
    from itm.refresh.records import Refresh

    recommended = read_recommended(store)
    only = replace(ranking, data_sets=(data,))
    earlier = replace(then, standings=tuple(own for own in then.standings if own.data == data.data))
    (change,) = compare(only, params.score, recommended, earlier)
    now = Refresh(0, "", options_key(only), (standing(data, recommended.get(data.data)),))
    console.print(f"\nSince refresh {then.number} ({text.started(then)}):", soft_wrap=True, markup=False)
    if text.is_quiet(change):
        console.print("Nothing changed.")
        return
    console.print(text.verdict(change), soft_wrap=True, markup=False)
    for heading, line in text.notes(now, change):
        console.print(f"  {heading}: {line}", soft_wrap=True, markup=False)
