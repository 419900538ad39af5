"""The speed of the ranked models: what is not stored is measured after the run, when nothing else computes."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

from itm.core.errors import is_expected
from itm.core.params import Params
from itm.core.progress import progress_bar
from itm.core.secrets import error_message
from itm.core.text import pluralize
from itm.core.types import ModelRef, Outcome, Speed
from itm.features.devices import device, leased, precision_on
from itm.features.speed import Speedometer
from itm.run.engine import Budget
from itm.run.plan import LIMITS, Plan
from itm.store.layout import Store

log = logging.getLogger(__name__)


def with_speeds(planned: Plan, outcomes: Iterable[Outcome], params: Params, store: Store, began: float) -> list[Outcome]:
    """Return the outcomes with the speed of each model that has embeddings.

    Nothing is measured where `extract.resume` is "only-cache", after a pair met a limit, or when `limits.seconds` since `began`
    are used up: then the next run goes on. Whatever goes wrong, the models are ranked without speed.

    Parameters
    ----------
    began
        When the run began, by `time.monotonic`.
    """
    outcomes = list(outcomes)
    names = {outcome.model for outcome in outcomes if outcome.features}
    has_met_limit = any(failure.step == LIMITS for outcome in outcomes for failure in outcome.failures)
    budget = None if has_met_limit or params.extract.resume == "only-cache" else Budget(params.limits, began)
    found: dict[str, Speed] = {}
    try:
        _find([model for model in planned.models if model.name in names], found, budget, params, store)
    except Exception as error:  # such as a lock that cannot be made
        log.warning("no speed can be measured (%s)", error_message(error), exc_info=None if is_expected(error) else error)
    return [replace(outcome, speed=found.get(outcome.model)) for outcome in outcomes]


def _find(models: Sequence[ModelRef], found: dict[str, Speed], budget: Budget | None, params: Params, store: Store) -> None:
    """Add the speeds of models to `found`: those that are stored, then those that are measured within the budget."""
    target = device(params.extract.device)
    embedding, training = (precision_on(target, wanted) for wanted in (params.extract.precision, params.finetune.precision))
    speedometer = Speedometer(target, embedding, training, params.finetune.batch_size, store)
    missing = [model for model in models if not _stored(speedometer, model, found)]
    if not missing or budget is None:
        return
    with leased(target) as leased_target, progress_bar("measuring speed", len(missing), "models") as advance:
        speedometer = replace(speedometer, target=leased_target)
        for number, model in enumerate(missing):
            if reason := budget.spent(on_device=False):
                log.info("the speed of %s is not known: %s", pluralize(len(missing) - number, "model"), reason)
                return
            # a model of the same architecture may have been measured just now
            if not _stored(speedometer, model, found):
                _measure(speedometer, model, found)
            advance(1)


def _stored(speedometer: Speedometer, model: ModelRef, found: dict[str, Speed]) -> bool:
    """Add the speed of a model if it is stored, and return whether nothing is left to do for it."""
    try:
        speed = speedometer.stored(model)
    except Exception as error:  # custom code can raise anything
        log.warning("%s: its speed cannot be looked up (%s)", model.name, error_message(error))
        return True
    if speed:
        found[model.name] = speed
    return speed is not None


def _measure(speedometer: Speedometer, model: ModelRef, found: dict[str, Speed]) -> None:
    try:
        found[model.name] = speedometer.measure(model)
    except Exception as error:  # custom code can raise anything
        log.warning("%s: its speed cannot be measured (%s)", model.name, error_message(error))
        if not is_expected(error):
            log.debug("the error was", exc_info=error)
