"""Which variants a model has. They are built without weights, on the meta device."""

import logging
from collections.abc import Collection, Sequence

from itm.core.errors import ModelError
from itm.core.text import pluralize
from itm.core.types import ModelRef
from itm.core.variants import Variant, split_variant
from itm.zoo.construct import build_on_meta
from itm.zoo.facts import facts, preprocessing

log = logging.getLogger(__name__)


def existing_variants(models: Collection[ModelRef], variants: Sequence[Variant]) -> dict[str, list[ModelRef]]:
    """Return, by the name of each model, those variants that it has and that differ from it.

    A variant of a variant is left out. What is left out is logged with the reasons.
    """
    found: dict[str, list[ModelRef]] = {model.name: [] for model in models}
    missing: dict[Variant, list[str]] = {}
    plain = [model for model in models if not split_variant(model.name)[1]]
    for model in plain:
        for variant in variants:
            candidate = variant.of(model)
            try:
                _check(candidate, model)
            except ModelError as error:
                log.debug("%s", error)
                missing.setdefault(variant, []).append(str(error))
            else:
                found[model.name].append(candidate)
    for variant, reasons in missing.items():
        if len(reasons) < len(plain):
            times = pluralize(len(reasons), "model")
            log.info("@%s is left out for %s: there is none, or it is the model itself", variant, times)
        else:
            log.warning("no model has the variant @%s. %s", variant, reasons[0])
    return found


def _check(variant: ModelRef, model: ModelRef) -> None:
    """Raise a `ModelError` if there is no such variant of a model, or if it is the plain model."""
    module = build_on_meta(variant)
    if variant.block is not None or variant.preprocessing != model.preprocessing:
        config = preprocessing(variant, module)
        if config == preprocessing(model, module) and variant.block is None and variant.pooling is None:
            raise ModelError(f"{variant.name}: is the plain model, whose images have so many pixels.")
        facts(variant, module, config)  # not every model takes every number of pixels
