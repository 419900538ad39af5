"""The commands `itm report` and `itm show`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from itm.cli.options import ParamsFile, RankingName, read_params, report_errors

if TYPE_CHECKING:
    from itm.core.confirmations import Confirmed
    from itm.core.rankings import Ranking
    from itm.store.layout import Store


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
