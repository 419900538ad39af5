"""What the next refresh would compute, and why: told from what is stored, without computing or writing anything."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import huggingface_hub

from itm.core.errors import ItmError
from itm.core.params import Params
from itm.core.types import DataRef
from itm.data.changed import indexed, looks_changed
from itm.data.ingest_all import short_name
from itm.refresh.reasons import Reasons, provenance
from itm.refresh.records import Refresh
from itm.run.limits import first_models
from itm.run.lookup import Names, names
from itm.run.plan import Plan, check
from itm.store.hash_cache import recall
from itm.store.layout import Store
from itm.zoo.resolve import resolve

NO_INDEX = "images were never read"
ALL = "all data sets"


@dataclass(frozen=True)
class Cause:
    """Why some pairs are stale, or left out; a pair is a model and a data set."""

    text: str
    pairs: tuple[Names, ...]


@dataclass(frozen=True)
class Stale:
    """Of how many `pairs` which are stale, which `left_out` since they cannot be ranked, and what looks changed of the data.

    The commonest cause comes first. What looks changed is told by the name of a data set.
    """

    pairs: int
    causes: tuple[Cause, ...]
    left_out: tuple[Cause, ...]
    data: dict[str, str]

    @property
    def count(self) -> int:
        """Return how many pairs are stale."""
        return sum(len(cause.pairs) for cause in self.causes)


def find_stale(params: Params, store: Store, last: Refresh | None) -> Stale:
    """Return what the next refresh would compute, `last` being the refresh before it.

    Weight files are read where they are new or look changed since a run hashed them, every index is, and of feature files only
    the footers. Data sets are taken as their indexes have them, and only what lies in this store counts, since nothing is
    fetched.

    Raises
    ------
    ParamsError
        If the parameters are wrong as a whole.
    """
    check(params)
    store = replace(store, shared=None)
    recall(store)
    with _offline():
        planned, unread = _planned(params, store)
        why = Reasons(planned, params, store, last)
        needed = {names(*pair): pair for pair in planned.pairs}
        reasons = {name: why.of(*pair) for name, pair in needed.items() if name not in why.found.outcomes}
    reasons |= {(model.name, data): NO_INDEX for data in unread for model in planned.models}
    every = [*(data.name for data in planned.data_sets), *unread]
    left_out = {(one.model, data): f"{one.step}: {one.reason}" for one in planned.failed_models for data in every}
    pairs = len(needed) + len(unread) * len(planned.models)
    return Stale(pairs, _grouped(reasons), _grouped(left_out), dict(_looks(params, unread, store)))


def _grouped(reasons: Mapping[Names, str]) -> tuple[Cause, ...]:
    grouped: dict[str, list[Names]] = {}
    for name, text in reasons.items():
        grouped.setdefault(text, []).append(name)
    causes = (Cause(text, tuple(pairs)) for text, pairs in grouped.items())
    return tuple(sorted(causes, key=lambda cause: -len(cause.pairs)))


@contextmanager
def _offline() -> Iterator[None]:
    """Keep weights from being downloaded: whoever asks what is stale does not wait for that."""
    before = huggingface_hub.constants.HF_HUB_OFFLINE
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE = before


def _planned(params: Params, store: Store) -> tuple[Plan, list[str]]:
    """Return the plan as indexes have it, and the names of data sets without one."""
    models, failed = resolve(params.zoo)
    models, beyond = first_models(models, params.limits.max_models)
    known = {source: _known(source, store) for source in params.data.sets}
    found = tuple(data for data in known.values() if data)
    unread = [short_name(source) for source, data in known.items() if data is None]
    return Plan(found, tuple(models), (), (*failed, *beyond)), unread


def _known(source: str, store: Store) -> DataRef | None:
    try:
        return indexed(source, store)
    except ItmError:  # `looks_changed` says what is wrong with it
        return None


def _looks(params: Params, unread: list[str], store: Store) -> Iterator[tuple[str, str]]:
    """Yield what looks changed of the data, by name."""
    before = provenance(store).get("params", {}).get("data", {})
    now = params.data.model_dump(mode="json", exclude={"sets"})
    if changed := [name for name, value in now.items() if name in before and before[name] != value]:
        yield ALL, f"data.{', data.'.join(changed)} changed since the last ranking, so images are drawn or split anew"
    for source in params.data.sets:
        text = looks_changed(source, params.data.max_images is not None, store)
        if text or short_name(source) in unread:
            yield short_name(source), text or NO_INDEX
