"""The speeds of models: those that are stored, and those that are measured now."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from itm.core.errors import is_expected
from itm.core.params import Params
from itm.core.progress import progress_bar
from itm.core.secrets import error_message
from itm.core.text import pluralize
from itm.core.types import ModelRef, Speed
from itm.features.devices import device, leased, precision_on
from itm.features.speed import Speedometer
from itm.store.layout import Store

log = logging.getLogger(__name__)


def find_speeds(
    models: Sequence[ModelRef], found: dict[str, Speed], spent: Callable[[], str] | None, params: Params, store: Store
) -> None:
    """Add the speeds of models to `found`: those that are stored, then those that are measured.

    `spent` returns why no further model may be measured, or nothing. With None, nothing is measured. A model whose speed cannot
    be measured is a warning.
    """
    target = device(params.extract.device)
    embedding, training = (precision_on(target, wanted) for wanted in (params.extract.precision, params.finetune.precision))
    speedometer = Speedometer(target, embedding, training, params.finetune.batch_size, store)
    missing: dict[str, list[ModelRef]] = {}  # of the same speed, by its key
    for model in models:
        with _warning(model, "looked up"):
            if speed := speedometer.stored(model):
                found[model.name] = speed
            else:
                missing.setdefault(speedometer.key(model), []).append(model)
    if not missing or spent is None:
        return
    with leased(target) as leased_target, progress_bar("measuring speed", len(missing), "models") as advance:
        speedometer = replace(speedometer, target=leased_target)
        for number, same in enumerate(missing.values()):
            if reason := spent():
                log.info("the speed of %s is not known: %s", pluralize(len(missing) - number, "model"), reason)
                return
            with _warning(same[0], "measured"):
                speed = speedometer.measure(same[0])
                found |= {model.name: speed for model in same}
            advance(1)


@contextmanager
def _warning(model: ModelRef, done: str) -> Iterator[None]:
    """Log an error of a model, whose code can raise anything, instead of raising it."""
    try:
        yield
    except Exception as error:
        log.warning("%s: its speed cannot be %s (%s)", model.name, done, error_message(error))
        if not is_expected(error):
            log.debug("the error was", exc_info=error)
