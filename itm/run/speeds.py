"""The speed of the ranked models: what is not stored is measured after the run, when nothing else computes."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from itm.core.errors import is_expected
from itm.core.params import Params
from itm.core.secrets import error_message
from itm.core.types import Outcome, Speed
from itm.run.engine import Budget
from itm.run.find_speeds import find_speeds
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
    spent = None if budget is None else partial(budget.spent, on_device=False)
    found: dict[str, Speed] = {}
    try:
        find_speeds([model for model in planned.models if model.name in names], found, spent, params, store)
    except Exception as error:  # such as a lock that cannot be made
        log.warning("no speed can be measured (%s)", error_message(error), exc_info=None if is_expected(error) else error)
    return [replace(outcome, speed=found.get(outcome.model)) for outcome in outcomes]
