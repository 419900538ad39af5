"""Several data sets at once: one that fails does not stop the others."""

import logging
from collections.abc import Iterable

from itm.core.errors import DataError, ItmError, ParamsError
from itm.core.secrets import told
from itm.core.sections import DataParams
from itm.core.types import DataRef, Failure
from itm.data.ingest import ingest
from itm.data.sources.parse import name_of
from itm.store.layout import Store
from itm.store.mirror import check_place

log = logging.getLogger(__name__)


def check_names(sources: Iterable[str]) -> None:
    """Find out whether each of `sources` has a name of its own.

    Raises
    ------
    ParamsError
        If there is no source, or two have the same name.
    """
    named: dict[str, str] = {}
    for source in sources:
        name = short_name(source)
        if name in named:
            raise ParamsError(f"{named[name]} and {source} are both named {name!r}; leave one out or write NAME=SOURCE for it.")
        named[name] = source
    if not named:
        raise ParamsError("no data set is named; give one, for instance `itm rank folder:PATH`, or list them under data.sets.")


def ingest_all(params: DataParams, store: Store) -> tuple[tuple[DataRef, ...], tuple[Failure, ...]]:
    """Ingest every data set of the parameters, and return those that failed with their reason.

    Raises
    ------
    StoreError
        If the shared place of the store cannot be used.
    """
    check_place(store)
    found, failures = [], []
    for source in params.sets:
        try:
            found.append(ingest(source, params, store))
        except Exception as error:  # whatever it is, it does not stop the other data sets
            log.error("%s", told(error), exc_info=not isinstance(error, ItmError))
            failures.append(Failure(short_name(source), "", "ingest", told(error)))
    return tuple(found), tuple(failures)


def short_name(source: str) -> str:
    """Return a source's name, or its text where that names nothing."""
    try:
        return name_of(source)
    except DataError:
        return source
