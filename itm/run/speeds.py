"""The speed of the ranked models: what is not stored is measured after the run, when nothing else computes."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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

    Embeddings without a model have none. Nothing is measured where `extract.resume` is "only-cache", after a pair met a limit,
    or when `limits.seconds` since `began` are used up: then the next run goes on. Whatever goes wrong, the models are ranked
    without speed.

    Parameters
    ----------
    began
        When the run began, by `time.monotonic`.
    """
    outcomes = list(outcomes)
    names = {outcome.model for outcome in outcomes if outcome.features and outcome.features.facts}
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
    missing: dict[str, list[ModelRef]] = {}  # of the same speed, by its key
    for model in models:
        with _warning(model, "looked up"):
            if speed := speedometer.stored(model):
                found[model.name] = speed
            else:
                missing.setdefault(speedometer.key(model), []).append(model)
    if not missing or budget is None:
        return
    with leased(target) as leased_target, progress_bar("measuring speed", len(missing), "models") as advance:
        speedometer = replace(speedometer, target=leased_target)
        for number, same in enumerate(missing.values()):
            if reason := budget.spent(on_device=False):
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
