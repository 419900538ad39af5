"""The commands `itm report` and `itm show`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from itm.cli.options import ParamsFile, RankingName, read_params, report_errors

if TYPE_CHECKING:
    from itm.core.confirmations import Confirmed
    from itm.core.rankings import Ranking
    from itm.store.layout import Store

MOST_LINKS = 3


def report(name: RankingName = None, params: ParamsFile = None) -> None:
    """Write the page of a ranking again."""
    with report_errors():
        _, store = read_params(None, params)
        store = store.for_ranking(name) if name else store
        from itm.report.page import write_page
        from itm.store.confirmed_file import read_confirmed
        from itm.store.ranking_file import read_ranking

        ranking = read_ranking(store)
        typer.echo(f"page: {write_page(ranking, store.reports, read_confirmed(ranking, store))}")


def show(name: RankingName = None, params: ParamsFile = None) -> None:
    """Print a ranking."""
    with report_errors():
        _, store = read_params(None, params)
        store = store.for_ranking(name) if name else store
        from itm.store.confirmed_file import read_confirmed
        from itm.store.ranking_file import read_ranking

        ranking = read_ranking(store)
        print_result(ranking, store, read_confirmed(ranking, store))


def print_result(ranking: "Ranking", store: "Store", confirmed: "Sequence[Confirmed]" = ()) -> None:
    """Print the table of a ranking, what fine-tuning showed of it, and where its files are."""
    from rich.console import Console

    from itm.report.table import print_ranking

    console = Console()
    print_ranking(ranking, console, confirmed)
    again = f"   again: itm show {store.ranking_name}" if store.ranking_name else ""
    console.print(
        f"page: {store.reports / 'index.html'}   scores: {store.scores}{again}", soft_wrap=True, highlight=False, markup=False
    )
    for line in _links(ranking, store):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _links(ranking: "Ranking", store: "Store") -> Iterator[str]:
    """Yield the links to the comparison of each data set in MLflow, where the ranking is tracked."""
    from itm.core.errors import StoreError
    from itm.store.tracked_file import LOCAL_SERVER, comparison_link, read_tracked, view_key

    try:
        state = read_tracked(store)
    except StoreError:  # tracking warns of it
        return
    tracked = state.data_sets if state else {}
    names = [data.data for data in ranking.data_sets if data.data in tracked and tracked[data.data].experiment]
    server = state.uri if state and state.uri.startswith("http") else LOCAL_SERVER
    if names:
        yield f"compare in MLflow{', after `make ui`' if server == LOCAL_SERVER else ''}:"
    for name in names[:MOST_LINKS]:
        yield f"  {name}: {comparison_link(tracked[name].experiment, view_key(store.ranking_name), server)}"
    if len(names) > MOST_LINKS:
        yield f"  {len(names) - MOST_LINKS} more data sets: `make ui` prints all links"
