"""Read and write ranking.json, scores.parquet and metrics.json."""

from dataclasses import asdict
from pathlib import Path

import polars as pl
from pydantic import TypeAdapter, ValidationError

from itm.core.errors import StoreError, cause, printable
from itm.core.rankings import Ranking
from itm.store.files import delete, read_json, to_json, write_json, write_table, write_text
from itm.store.layout import Store

VERSION = 5  # increase it when the records of a ranking change


def write_ranking(result: Ranking, table: pl.DataFrame, store: Store) -> None:
    """Write scores.parquet, ranking.json and metrics.json. Equal results give equal bytes.

    An unchanged ranking.json is not written again. Before a changed one is written, the page is deleted: an existing page
    always belongs to the ranking.
    """
    write_table(store.scores, table)
    text = _text(result)
    if not _contains(store.ranking, text):
        delete(page_path(store))
        write_text(store.ranking, text)
    write_json(store.scores.parent / "metrics.json", metrics(result))


def is_stored(result: Ranking, store: Store) -> bool:
    """Return whether this ranking is the one that is stored."""
    return _contains(store.ranking, _text(result))


def _text(result: Ranking) -> str:
    values = {"version": VERSION} | asdict(result)
    if not result.excluded:  # files from before there were filters stay equal
        del values["excluded"]
    for data in values["data_sets"]:
        for name in ("not_applicable", "points"):  # as above, from before there were task kinds with other scores
            if not data[name]:
                del data[name]
    return to_json(values)


def _contains(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == printable(text)
    except (OSError, ValueError):
        return False


def metrics(result: Ranking) -> dict[str, dict[str, float | str]]:
    """Return a summary per data set: the first model, the best value, and the mean over models."""
    summary: dict[str, dict[str, float | str]] = {}
    for data in result.data_sets:
        values = {row.model: row.estimate.value for row in data.rows if row.estimate}
        if values:
            mean = sum(values.values()) / len(values)
            summary[data.data] = {"first": next(iter(values)), "best": max(values.values()), "mean": mean}
    return summary


def page_path(store: Store) -> Path:
    return store.reports / "index.html"


def read_ranking(store: Store) -> Ranking:
    """Read ranking.json.

    Raises
    ------
    StoreError
        If there is no ranking, or it is damaged or from another version.
    """
    if not store.ranking.exists():
        raise StoreError(f"{store.ranking}: there is no ranking yet; run `itm rank` first.")
    values = read_json(store.ranking)
    if not isinstance(values, dict) or values.pop("version", None) != VERSION:
        raise StoreError(f"{store.ranking}: is damaged or from another version; run `itm rank` again.")
    try:
        return TypeAdapter(Ranking).validate_python(values)
    except ValidationError as error:
        raise StoreError(f"{store.ranking}: is damaged ({cause(error)}); run `itm rank` again.") from error
