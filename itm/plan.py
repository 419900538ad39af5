"""Which pairs of a model and a data set a ranking is made of, and what some scores compare them with."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from itm.data import check_names, ingest_all
from itm.errors import ParamsError
from itm.extract import device
from itm.limits import first_models
from itm.params import Params
from itm.scores import check_options, computed, get
from itm.store import Store
from itm.types import DataRef, Failure, Features, ModelRef, References
from itm.zoo.prefetch import prefetch
from itm.zoo.resolve import resolve
from itm.zoo.zoo_file import read_zoo_file

log = logging.getLogger(__name__)

Compared = Mapping[tuple[str, str], Features | Failure]  # by the names of model and data set


@dataclass(frozen=True)
class Plan:
    """Which pairs there are, what some scores compare them with, and what failed before the first of them."""

    data_sets: tuple[DataRef, ...]
    models: tuple[ModelRef, ...]
    failed_data: tuple[Failure, ...] = ()
    failed_models: tuple[Failure, ...] = ()
    source: DataRef | None = None
    untrained: ModelRef | None = None

    @property
    def pairs(self) -> list[tuple[ModelRef, DataRef]]:
        """Return every model with every data set."""
        return [(model, data) for data in self.data_sets for model in self.models]

    @property
    def compared_with(self) -> list[tuple[ModelRef, DataRef]]:
        """Return the pairs whose embeddings some scores compare with: all models on the source, the untrained one on all."""
        source = [(model, self.source) for model in self.models] if self.source else []
        return source + ([(self.untrained, data) for data in self.data_sets] if self.untrained else [])

    def can_compare(self, model: ModelRef, data: DataRef, compared: Compared) -> bool:
        """Say whether all that this pair is compared with came to something or failed by now."""
        source = self.source is None or (model.name, self.source.name) in compared
        return source and (self.untrained is None or (self.untrained.name, data.name) in compared)

    def references(self, model: ModelRef, data: DataRef, compared: Compared) -> References:
        """Return what the pairs that this one is compared with came to."""
        return References(
            compared[model.name, self.source.name] if self.source else None,
            compared[self.untrained.name, data.name] if self.untrained else None,
        )


def check(params: Params) -> None:
    """Find what is wrong with the parameters before any work is done.

    Raises
    ------
    ParamsError
        If no data set is named or two have the same name, the zoo file cannot be read, the device is not here, or a score or
        one of its options is unknown.
    """
    check_names(params.ingested)
    if params.zoo.file:
        read_zoo_file(params.zoo.file)
    device(params.extract.device)
    for name in {*computed(params.score.names), *params.score.options, params.score.rank_by}:
        check_options(name, params.score.options.get(name))


def plan(params: Params, store: Store) -> Plan:
    """Check the parameters, clear away what killed runs left, resolve the zoo, fetch its weights and ingest the data.

    Raises
    ------
    ParamsError
        If the parameters are wrong as a whole.
    """
    check(params)
    found, failed = resolve(params.zoo)
    first, beyond = first_models(found, params.limits.max_models)
    store.make_folders()
    store.sweep()
    models, unfetched = prefetch(first, params.zoo)
    failed_models = [*failed, *beyond, *unfetched]
    for failure in failed_models:
        log.error("%s: %s", failure.model, failure.reason)
    data_sets, failed_data = ingest_all(params.data, store)
    uses = {use for name in computed(params.score.names) for use in get(name).uses}
    source = _source(params, data_sets, store) if "source" in uses else None
    untrained = _untrained(params) if "untrained" in uses else None
    return Plan(data_sets, models, failed_data, tuple(failed_models), source, untrained)


def _source(params: Params, data_sets: Iterable[DataRef], store: Store) -> DataRef | None:
    if params.score.source is None:
        return None
    for data in data_sets:
        if data.source == params.score.source:
            return data
    found, failed = ingest_all(params.data.model_copy(update={"sets": (params.score.source,)}), store)
    if failed:
        raise ParamsError(f"score.source: {failed[0].reason}")
    return found[0]


def _untrained(params: Params) -> ModelRef | None:
    if params.score.untrained is None:
        return None
    found, failed = resolve(params.zoo.model_copy(update={"models": (params.score.untrained,)}))
    if failed or len(found) != 1:
        reason = failed[0].reason if failed else f"{len(found)} models have this name; name one."
        raise ParamsError(f"score.untrained is {params.score.untrained!r}: {reason}")
    return found[0]
