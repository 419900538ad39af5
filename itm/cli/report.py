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
        from itm.store.example_files import read_example_masks
        from itm.store.ranking_file import read_ranking

        ranking = read_ranking(store)
        shown = read_confirmed(ranking, store), read_example_masks(ranking, store)
        typer.echo(f"page: {write_page(ranking, store.reports, *shown)}")


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
    from itm.store.tracked_file import LOCAL_SERVER, UI, comparison_link, read_tracked, view_key

    try:
        state = read_tracked(store)
    except StoreError:  # tracking warns of it
        return
    tracked = state.data_sets if state else {}
    names = [data.data for data in ranking.data_sets if data.data in tracked and tracked[data.data].experiment]
    if not state or not names:
        return
    server = _server(state.uri)
    if server is None:
        yield f"compare in MLflow: `{UI}` prints the links"
        return
    yield f"compare in MLflow{f', after `{UI}`' if server == LOCAL_SERVER else ''}:"
    for name in names[:MOST_LINKS]:
        yield f"  {name}: {comparison_link(tracked[name].experiment, view_key(store.ranking_name), server)}"
    if len(names) > MOST_LINKS:
        yield f"  {len(names) - MOST_LINKS} more data sets: `{UI}` prints all links"


def _server(uri: str) -> str | None:
    """Return the address of MLflow without its user. None is an address that is not known here: a secret, or no variable."""
    from itm.core.errors import ParamsError
    from itm.core.secrets import public_address, reveal
    from itm.store.tracked_file import LOCAL_SERVER

    try:
        uri = reveal(uri)
    except ParamsError:
        return None
    if uri.startswith("secret:"):
        return None
    return public_address(uri) if uri.startswith("http") else LOCAL_SERVER
