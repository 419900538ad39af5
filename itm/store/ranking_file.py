"""scores.parquet and ranking.json, written and read back without anything that computes."""

from dataclasses import asdict
from pathlib import Path

import polars as pl
from pydantic import TypeAdapter, ValidationError

from itm.core.errors import StoreError
from itm.core.rankings import Ranking
from itm.store.files import as_json, read_json, write_json, write_table, write_text
from itm.store.layout import Store

VERSION = 2  # raise it when the records of a ranking change


def write_ranking(result: Ranking, table: pl.DataFrame, store: Store) -> None:
    """Write scores.parquet, ranking.json and metrics.json; equal results give equal bytes.

    A ranking.json that holds the same already is left alone, with its page; before another is written the page is removed, so
    that a page which is there is of this ranking, whatever clocks say.
    """
    write_table(store.scores, table)
    described = as_json({"version": VERSION} | asdict(result))
    if not _holds(store.ranking, described):
        page_of(store).unlink(missing_ok=True)
        write_text(store.ranking, described)
    write_json(store.scores.parent / "metrics.json", metrics(result))


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, ValueError):
        return False


def metrics(result: Ranking) -> dict[str, dict[str, float | str]]:
    """Return what tells rankings apart at a glance: of each data set the first model, its value, and the mean over models."""
    found: dict[str, dict[str, float | str]] = {}
    for data in result.data_sets:
        values = {row.model: row.estimate.value for row in data.rows if row.estimate}
        if values:
            mean = sum(values.values()) / len(values)
            found[data.data] = {"first": next(iter(values)), "best": max(values.values()), "mean": mean}
    return found


def page_of(store: Store) -> Path:
    """Return the page of a ranking."""
    return store.reports / "index.html"


def read_ranking(store: Store) -> Ranking:
    """Read ranking.json back.

    Raises
    ------
    StoreError
        If there is no ranking yet, or it is damaged or from another version.
    """
    if not store.ranking.exists():
        raise StoreError(f"{store.ranking}: there is no ranking yet; run `itm rank` first.")
    values = read_json(store.ranking)
    if not isinstance(values, dict) or values.pop("version", None) != VERSION:
        raise StoreError(f"{store.ranking}: is damaged or from another version; run `itm rank` again.")
    try:
        return TypeAdapter(Ranking).validate_python(values)
    except ValidationError as error:
        raise StoreError(f"{store.ranking}: is damaged ({error}); run `itm rank` again.") from error
