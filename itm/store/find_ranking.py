"""The rankings of a store: that of params.yaml, and trials."""

import logging
from collections.abc import Iterator
from dataclasses import replace

from itm.core.errors import ParamsError, StoreError, did_you_mean
from itm.core.rankings import DataRanking, Ranking
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking

log = logging.getLogger(__name__)


def all_rankings(store: Store) -> list[Store]:
    """Return the ranking of params.yaml and all others, the newest first; folders without a ranking come last."""
    named = [replace(store, ranking_name=path.name) for path in store.trials.glob("*/")]
    named.sort(key=lambda one: -one.ranking.stat().st_mtime if one.ranking.exists() else 0)
    return [*([store] if store.ranking.exists() else []), *named]


def find_ranking(data: str, store: Store, name: str | None = None) -> tuple[Store, Ranking, DataRanking]:
    """Return the store of the ranking that has a data set, the ranking, and its part for the data set.

    `data` is the name or the source of the data set. The ranking is that of params.yaml, or else the only trial with this data
    set; `name` is the name of another one, or its beginning. A ranking that cannot be read is logged and left out.

    Raises
    ------
    ParamsError
        If no ranking or several trials have the data set.
    StoreError
        If no ranking has the name `name`, or it is damaged.
    """
    if name is not None:
        own = store.for_ranking(name)
        ranking = read_ranking(own)
        return own, ranking, part_of(ranking, data)
    found, known = [], list[str]()
    for own, ranking in _readable(store):
        if part := _part(ranking, data):
            found.append((own, ranking, part))
        known += [one.data for one in ranking.data_sets]
    if found and (len(found) == 1 or found[0][0].ranking_name is None):
        return found[0]
    if found:
        names = ", ".join(sorted(str(own.ranking_name) for own, _, _ in found))
        raise ParamsError(f"several rankings have the data set {data!r}: {names}; choose one with --ranking.")
    known = sorted(set(known))
    ranked = f" Ranked so far: {', '.join(known)}." if known else ""
    raise ParamsError(f"no ranking has the data set {data!r}{did_you_mean(data, known)} Run `itm rank` with it first.{ranked}")


def part_of(ranking: Ranking, data: str) -> DataRanking:
    """Return the part of a ranking for the data set with a name or a source.

    Raises
    ------
    ParamsError
        If the ranking does not have it.
    """
    if part := _part(ranking, data):
        return part
    names = [one.data for one in ranking.data_sets]
    raise ParamsError(f"the ranking has no data set {data!r}{did_you_mean(data, names)} It has: {', '.join(names)}.")


def _part(ranking: Ranking, data: str) -> DataRanking | None:
    return next((one for one in ranking.data_sets if data in (one.data, one.source)), None)


def _readable(store: Store) -> Iterator[tuple[Store, Ranking]]:
    for own in all_rankings(store):
        if own.ranking.exists():
            try:
                yield own, read_ranking(own)
            except StoreError as error:
                log.warning("%s", error)
