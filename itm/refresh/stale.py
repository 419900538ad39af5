"""What the next refresh would compute, and why. Nothing is computed, fetched or written."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import huggingface_hub

from itm.core.params import Params
from itm.data.index import describe_changes
from itm.data.ingest import short_name
from itm.refresh.reasons import Reasons, provenance
from itm.refresh.records import Refresh
from itm.run.plan import NEVER_READ, Plan, plan
from itm.run.stages import PairKey, pair_key
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking

ALL = "all data sets"


@dataclass(frozen=True)
class Cause:
    """The reason why some pairs are stale or left out."""

    text: str
    pairs: tuple[PairKey, ...]


@dataclass(frozen=True)
class Stale:
    """The stale pairs by cause, the most common first, and the data sets that look changed."""

    pairs: int  # all, stale or not
    causes: tuple[Cause, ...]
    left_out: tuple[Cause, ...]  # pairs that cannot be ranked
    data: dict[str, str]  # how a data set changed, by name

    @property
    def count(self) -> int:
        """Return the number of stale pairs."""
        return sum(len(cause.pairs) for cause in self.causes)


def find_stale(params: Params, store: Store, last: Refresh | None) -> Stale:
    """Return what the next refresh would compute; `last` is the refresh before it.

    Weight files are read if they are new or look changed since a run hashed them. Every index is read, and the footers of
    feature files. Data sets are taken from their indexes. Only files of this store count, since nothing is fetched.
    """
    store = replace(store, shared=None)
    with _offline():
        planned = _without_dropped(plan(params, store, offline=True), params, store)
        why = Reasons(planned, params, store, last)
        reasons = {pair_key(*pair): why.of(*pair) for pair in planned.pairs if not why.is_complete(*pair)}
    unread = [failure.data for failure in planned.failed_data]
    reasons |= {(model.name, data): NEVER_READ for data in unread for model in planned.models}
    every = [*(data.name for data in planned.data_sets), *unread]
    left_out = {(one.model, data): f"{one.step}: {one.reason}" for one in planned.failed_models for data in every}
    pairs = len(planned.pairs) + len(unread) * len(planned.models)
    return Stale(pairs, _grouped(reasons), _grouped(left_out), dict(_changes(params, unread, store)))


def _without_dropped(planned: Plan, params: Params, store: Store) -> Plan:
    """Return a plan without the pairs that the race of the last ranking dropped."""
    if not params.filters.race or not store.ranking.exists():
        return planned
    dropped = {(one.model, one.data) for one in read_ranking(store).excluded if one.data}
    return replace(planned, pairs=tuple(pair for pair in planned.pairs if pair_key(*pair) not in dropped))


def _grouped(reasons: Mapping[PairKey, str]) -> tuple[Cause, ...]:
    grouped: dict[str, list[PairKey]] = {}
    for name, text in reasons.items():
        grouped.setdefault(text, []).append(name)
    causes = (Cause(text, tuple(pairs)) for text, pairs in grouped.items())
    return tuple(sorted(causes, key=lambda cause: -len(cause.pairs)))


@contextmanager
def _offline() -> Iterator[None]:
    """Download no weights in the block."""
    before = huggingface_hub.constants.HF_HUB_OFFLINE
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE = before


def _changes(params: Params, unread: list[str], store: Store) -> Iterator[tuple[str, str]]:
    """Yield the names of data sets that look changed, and how."""
    before = provenance(store).get("params", {}).get("data", {})
    now = params.data.model_dump(mode="json", exclude={"sets"})
    if changed := [name for name, value in now.items() if name in before and before[name] != value]:
        yield ALL, f"data.{', data.'.join(changed)} changed since the last ranking, so images are drawn or split anew"
    for source in params.data.sets:
        text = describe_changes(source, params.data.max_images is not None, store)
        if text or short_name(source) in unread:
            yield short_name(source), text or NEVER_READ
