"""Leave out models that exceed a limit of the parameters, before their weights are downloaded and anything is computed."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from itm.core.errors import ItmError, ParamsError
from itm.core.filter_section import FilterParams
from itm.core.params import Params
from itm.core.text import pluralize
from itm.core.types import Exclusion, Facts, ModelRef, Speed
from itm.store.layout import Store
from itm.zoo.filters import bounds
from itm.zoo.listing import licence_of, published_facts

log = logging.getLogger(__name__)

OPTIONS = {"licences": "licence"}  # options that differ from their keys
Rule = Callable[[ModelRef], Exclusion | None]
Split = tuple[list[ModelRef], list[Exclusion]]


def exclude(models: Sequence[ModelRef], params: Params, store: Store, offline: bool = False) -> Split:
    """Return the models that keep all limits of `params.filters`, and why each of the others does not.

    The cheapest facts are looked at first. A missing latency or memory is measured once and stored, only for models that keep
    the other limits. With `offline`, nothing is measured or written, and models of unmeasured speed are kept.

    Raises
    ------
    ParamsError
        If a licence is not known, or no model is left.
    """
    filters = params.filters
    if not models or filters == FilterParams():
        return list(models), []
    limits = bounds(filters, models)
    kept, excluded = _split(
        models, lambda model: limits.by_licence(model.name, licence_of(model)) if filters.licences else None
    )
    if filters.needs_size:
        kept, more = _split(kept, lambda model: limits.by_size(model.name, _facts(model, store, offline)))
        excluded += more
    if filters.needs_speed:
        speeds = _speeds(kept, params, store, offline)
        unmeasured = {model.name for model in kept if offline and model.name not in speeds}
        kept, more = _split(
            kept, lambda model: None if model.name in unmeasured else limits.by_speed(model.name, speeds.get(model.name))
        )
        excluded += more
    order = {model.name: number for number, model in enumerate(models)}
    excluded.sort(key=lambda one: order[one.model])
    if not kept:
        raise _nothing_left(excluded, filters)
    if excluded and not offline:
        log.info("%s excluded by filters, %d left", pluralize(len(excluded), "model"), len(kept))
    return kept, excluded


def _split(models: Iterable[ModelRef], rule: Rule) -> Split:
    kept: list[ModelRef] = []
    excluded: list[Exclusion] = []
    for model in models:
        found = rule(model)
        if found is None:
            kept.append(model)
        else:
            excluded.append(found)
    return kept, excluded


def _facts(model: ModelRef, store: Store, offline: bool) -> Facts | None:
    """Return size and cost of a model, or None if they cannot be measured."""
    if known := published_facts(model):
        return known
    from itm.features.extractors import Extractor  # imports torch and timm
    from itm.features.model_facts import stored_facts
    from itm.zoo.listing import measured_facts

    try:
        return measured_facts(model) if offline else stored_facts(Extractor(model), store)
    except (ItmError, OSError) as error:
        log.warning("%s: its size is unknown (%s)", model.name, error)
        return None


def _speeds(models: Sequence[ModelRef], params: Params, store: Store, offline: bool) -> dict[str, Speed]:
    from itm.run.find_speeds import find_speeds  # imports torch and timm

    found: dict[str, Speed] = {}
    is_measured = not offline and params.extract.resume != "only-cache"
    find_speeds(models, found, (lambda: "") if is_measured else None, params, store)
    return found


def _nothing_left(excluded: Sequence[Exclusion], filters: FilterParams) -> ParamsError:
    counts = Counter(one.limit for one in excluded)
    limit, most = counts.most_common(1)[0]
    example = next(one for one in excluded if one.limit == limit)
    option = OPTIONS.get(limit, limit.replace("_", "-"))
    value = getattr(filters, limit)
    shown = ", ".join(value) if isinstance(value, tuple) else f"{value:g}"
    others = ", ".join(f"{name} {number}" for name, number in counts.most_common()[1:])
    return ParamsError(
        f"no model passes the filters: filters.{limit} (--{option}, {shown}) excludes {most} of {len(excluded)}, such as "
        f"{example.model}: {example.reason}.{f' Others: {others}.' if others else ''} Relax it, or name other models."
    )
