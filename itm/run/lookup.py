"""What is stored already of a plan, so that only the rest is handed to workers."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from itm.core.errors import ItmError, StoreError
from itm.core.params import Params
from itm.core.types import DataRef, Features, ModelRef, Outcome
from itm.features.devices import device
from itm.features.extract import describe, identity, stored
from itm.ranking.scoring import all_stored, identities
from itm.run.plan import Plan
from itm.store.feature_file import check_pages
from itm.store.layout import Store
from itm.store.mirror import publish

log = logging.getLogger(__name__)

Names = tuple[str, str]


@dataclass(frozen=True)
class Stored:
    """What is stored, by the names of model and data set: feature files, and the outcomes of pairs that lack nothing."""

    features: dict[Names, Features] = field(default_factory=dict)
    outcomes: dict[Names, Outcome] = field(default_factory=dict)


def names(model: ModelRef, data: DataRef) -> Names:
    """Return what a pair is known by."""
    return model.name, data.name


def look_up(planned: Plan, params: Params, store: Store) -> Stored:
    """Return what is stored of a plan; every model is described once, and no embedding is read but of pairs to be scored.

    A model that cannot be described has nothing stored: whoever computes it says why it cannot.
    """
    features = _features(planned, params, store)
    asked = identities(params.score)
    outcomes: dict[Names, Outcome] = {}
    for model, data in planned.pairs:
        found = features.get(names(model, data))
        if found is None:
            continue
        scored = all_stored(found, asked, store, params.extract.resume)
        if scored is not None:
            outcomes[names(model, data)] = Outcome(data.name, model.name, found, *scored)
    for pair in features.keys() - outcomes.keys():
        if _is_whole(features[pair].path):
            publish(store, features[pair].path)  # a worker elsewhere will read it, and it may be here alone
        else:
            features.pop(pair)
    return Stored(features, outcomes)


def _is_whole(path: Path) -> bool:
    """Say whether embeddings that are to be scored can be read; what is not here but shared is checked where it is fetched."""
    try:
        if path.exists():
            check_pages(path)
    except StoreError as error:
        log.warning("%s Computing it again.", error)
        return False
    return True


def _features(planned: Plan, params: Params, store: Store) -> dict[Names, Features]:
    """Return the stored feature files of all pairs."""
    target, splits = device(params.extract.device), params.score.splits
    described = {}
    for model in planned.models:
        try:
            described[model.name] = describe(model)
        except (ItmError, OSError) as error:
            log.debug("%s cannot be looked up: %s", model.name, error)
    features: dict[Names, Features] = {}
    for model, data in planned.pairs:
        if model.name not in described:
            continue
        own = identity(described[model.name], data, splits, params.extract, target)
        if found := stored(own, data.name, model.name, params.extract.resume, store):
            features[names(model, data)] = found
    return features
