"""The commands `itm report` and `itm show`."""

from typing import TYPE_CHECKING

import typer

from itm.cli.options import ParamsFile, RankingName, read_params, report_errors

if TYPE_CHECKING:
    from itm.core.rankings import Ranking
    from itm.store.layout import Store


def report(name: RankingName = None, params: ParamsFile = None) -> None:
    """Write the page of a ranking again."""
    with report_errors():
        _, store = read_params(None, params)
        store = store.for_ranking(name) if name else store
        from itm.report.page import write_page
        from itm.store.ranking_file import read_ranking

        typer.echo(f"page: {write_page(read_ranking(store), store.reports)}")


def show(name: RankingName = None, params: ParamsFile = None) -> None:
    """Print a ranking."""
    with report_errors():
        _, store = read_params(None, params)
        store = store.for_ranking(name) if name else store
        from itm.store.ranking_file import read_ranking

        print_result(read_ranking(store), store)


def print_result(ranking: "Ranking", store: "Store") -> None:
    """Print the table of a ranking and where its files are."""
    from rich.console import Console

    from itm.report.table import print_ranking

    console = Console()
    print_ranking(ranking, console)
    again = f"   again: itm show {store.ranking_name}" if store.ranking_name else ""
    console.print(f"page: {store.reports / 'index.html'}   scores: {store.scores}{again}", soft_wrap=True, highlight=False)
