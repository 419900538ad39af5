"""The command `itm rankings`."""

from typing import TYPE_CHECKING, Annotated

import typer

from itm.cli.options import ParamsFile, read_params, report_errors

if TYPE_CHECKING:
    from itm.store.layout import Store

MOST_SETS = 3  # data sets per line


def rankings(
    names: Annotated[list[str] | None, typer.Argument(help="Names, or their beginnings. Default: all.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the named rankings.")] = False,
    params: ParamsFile = None,
) -> None:
    """List the rankings of the store: name, time, data sets, models and the best model; or delete some.

    The ranking of params.yaml has no name and is never deleted. Embeddings and scores stay cached, so a deleted ranking is made
    again in seconds. Runs in MLflow stay.
    """
    with report_errors():
        from itm.core.errors import ItmError, ParamsError
        from itm.store.find_ranking import all_rankings

        _, store = read_params(None, params)
        if not delete:
            _print([store.for_ranking(name) for name in names or ()] or all_rankings(store))
            return
        if not names:
            raise ParamsError("--delete needs names; `itm rankings` lists them.")
        errors = []
        for name in names:
            try:
                typer.echo(f"deleted: {_delete(_any(store, name))}")
            except ItmError as error:  # the others are deleted
                errors.append(str(error))
        if errors:
            raise ParamsError("\n".join(errors))


def _any(store: "Store", name: str) -> "Store":
    """Return the store of a ranking, or of a folder with exactly this name that holds none."""
    from dataclasses import replace

    exact = [path.name for path in store.trials.glob("*/") if path.name == name]
    return replace(store, ranking_name=name) if exact else store.for_ranking(name)


def _delete(store: "Store") -> str:
    """Delete the folder of a ranking and return its name."""
    from shutil import rmtree

    from itm.core.errors import StoreError

    try:
        rmtree(store.results)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(
            f"{store.results}: cannot be deleted ({reason}); allow writing there, or delete it by hand."
        ) from error
    return store.results.name


def _print(stores: list["Store"]) -> None:
    from rich.console import Console
    from rich.text import Text

    from itm.report.terminal import plain_table, print_whole

    console = Console()
    lines = plain_table()
    for heading in ("name", "when", "data", "ranked", "best"):
        lines.add_column(heading, justify="right" if heading == "ranked" else "left", overflow="fold")
    for store in stores:
        lines.add_row(*map(Text, (store.ranking_name or "(params.yaml)", *_cells(store))))
    if stores:
        print_whole(lines, console)
    else:
        console.print("There is no ranking yet; run `itm rank` first.")


def _cells(store: "Store") -> tuple[str, ...]:
    """Return when a ranking was made, its data sets, the number of its models, and the best model of each data set."""
    from datetime import datetime

    from itm.core.errors import StoreError
    from itm.core.text import join_names
    from itm.store.ranking_file import read_ranking

    try:
        ranking = read_ranking(store)
    except StoreError:
        state = "cannot be read; rank again or delete it" if store.ranking.exists() else "no ranking; repeat or delete it"
        return "-", state, "-", "-"
    when = datetime.fromtimestamp(store.ranking.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
    models = {row.model for data in ranking.data_sets for row in data.rows}
    ranked = {row.model for data in ranking.data_sets for row in data.rows if row.rank}
    best = dict.fromkeys(row.model for data in ranking.data_sets for row in data.rows if row.rank == 1)
    names = join_names([data.data for data in ranking.data_sets], MOST_SETS)
    return when, names, f"{len(ranked)} of {len(models)}", join_names(list(best), MOST_SETS) if best else "-"
