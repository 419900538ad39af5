"""The facts of a model, measured once and kept: counting its operations takes longer than a forward pass over many images."""

import logging
from dataclasses import asdict

from itm.core.errors import StoreError
from itm.core.keys import content_key
from itm.core.types import Facts
from itm.features.extractors import Extractor
from itm.features.identity import package_versions
from itm.store.layout import Store
from itm.store.records import RecordStore
from itm.zoo import facts as zoo_facts
from itm.zoo.construct import build_on_meta
from itm.zoo.load import definition

log = logging.getLogger(__name__)

RECORDS = RecordStore()
FACTS = 2  # raise it when a fact is added or changes


def stored_facts(extractor: Extractor, store: Store) -> Facts:
    """Return the facts of a model from the store, or measure and keep them. They do not depend on its weights.

    Raises
    ------
    ModelError
        If the model returns no embeddings.
    """
    model = extractor.model
    named = {"family": model.family, "pretraining": model.pretraining, "pretrained": model.pretrained}
    key = content_key(
        named
        | {"facts": FACTS, "model": definition(model), "preprocessing": extractor.preprocessing, "packages": package_versions()}
    )
    path = store.facts(model.name, key)
    if kept := RECORDS.get_as(Facts, path, key):
        return kept
    found = zoo_facts.facts(model, build_on_meta(model), extractor.preprocessing)
    try:
        RECORDS.put(path, key, asdict(found))
    except StoreError as error:
        log.warning("%s It is measured again by the next run.", error)
    return found
