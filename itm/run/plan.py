"""Which pairs of a model and a data set a ranking is made of."""

import logging
from dataclasses import dataclass

from itm.core.params import Params
from itm.core.types import DataRef, Failure, ModelRef
from itm.data.ingest_all import check_names, ingest_all
from itm.features.devices import device
from itm.run.limits import first_models
from itm.scores import check_options, computed
from itm.store.layout import Store
from itm.zoo.prefetch import prefetch
from itm.zoo.resolve import resolve
from itm.zoo.zoo_file import read_zoo_file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Which pairs there are, and what failed before the first of them."""

    data_sets: tuple[DataRef, ...]
    models: tuple[ModelRef, ...]
    failed_data: tuple[Failure, ...] = ()
    failed_models: tuple[Failure, ...] = ()

    @property
    def pairs(self) -> list[tuple[ModelRef, DataRef]]:
        """Return every model with every data set."""
        return [(model, data) for data in self.data_sets for model in self.models]


def check(params: Params) -> None:
    """Find what is wrong with the parameters before any work is done.

    Raises
    ------
    ParamsError
        If no data set is named or two have the same name, the zoo file cannot be read, the device is not here, or a score or
        one of its options is unknown.
    """
    check_names(params.data.sets)
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
    return Plan(data_sets, models, failed_data, tuple(failed_models))
