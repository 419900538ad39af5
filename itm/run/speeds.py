"""The speed of the ranked models: what is not stored is measured after the run, when nothing else computes."""

import logging
from collections.abc import Iterable
from dataclasses import replace

from itm.core.errors import is_expected
from itm.core.params import Params
from itm.core.progress import progress_bar
from itm.core.secrets import error_message
from itm.core.types import ModelRef, Outcome, Speed
from itm.features.devices import device, leased, precision_on
from itm.features.speed import Speedometer
from itm.run.plan import LIMITS, Plan
from itm.store.layout import Store

log = logging.getLogger(__name__)


def with_speeds(planned: Plan, outcomes: Iterable[Outcome], params: Params, store: Store) -> list[Outcome]:
    """Return the outcomes with the speed of each model that has embeddings.

    Nothing is measured where `extract.resume` is "only-cache" or a limit was used up. A model that cannot be measured has no
    speed and still is ranked.
    """
    outcomes = list(outcomes)
    names = {outcome.model for outcome in outcomes if outcome.features}
    models = [model for model in planned.models if model.name in names]
    may_measure = params.extract.resume != "only-cache" and not _reached_limit(outcomes)
    speeds = _speeds(models, may_measure, params, store)
    return [replace(outcome, speed=speeds.get(outcome.model)) for outcome in outcomes]


def _speeds(models: list[ModelRef], may_measure: bool, params: Params, store: Store) -> dict[str, Speed]:
    target = device(params.extract.device)
    precision = precision_on(target, params.extract.precision)
    speedometer = Speedometer(target, precision, params.finetune.batch_size, store)
    found: dict[str, Speed] = {}
    missing = []
    for model in models:
        if speed := speedometer.stored(model):
            found[model.name] = speed
        else:
            missing.append(model)
    if not missing or not may_measure:
        return found
    with leased(target) as leased_target, progress_bar("measuring speed", len(missing), "models") as advance:
        speedometer = replace(speedometer, target=leased_target)
        for model in missing:
            try:
                # a model of the same architecture may have been measured just now
                found[model.name] = speedometer.stored(model) or speedometer.measure(model)
            except Exception as error:  # custom code can raise anything
                log.warning("%s: its speed cannot be measured (%s)", model.name, error_message(error))
                if not is_expected(error):
                    log.debug("the error was", exc_info=error)
            advance(1)
    return found


def _reached_limit(outcomes: Iterable[Outcome]) -> bool:
    return any(failure.reason.startswith(f"{LIMITS}.") for outcome in outcomes for failure in outcome.failures)
