"""What fine-tuning of each model costs in seconds: estimated before, and corrected by what experiments took."""

import logging
import statistics
from collections.abc import Iterable, Mapping, Sequence

from itm.core.errors import ModelError
from itm.core.params import Params
from itm.core.rankings import RankedModel
from itm.core.selections import TrainedRung
from itm.core.types import ModelRef, SplitName
from itm.features.extractors import Extractor
from itm.finetuning.estimate import FORWARD, step_seconds
from itm.selection.policy import Cost

log = logging.getLogger(__name__)

BEGIN = 1.0  # seconds to build a model and to train a head
LEAST = 1e-4  # seconds of a step
LEAST_FACTOR = 0.02  # of a correction: no cost becomes zero


def estimate_costs(
    rows: Sequence[RankedModel], models: Mapping[str, ModelRef], images: Mapping[SplitName, int], params: Params
) -> dict[str, Cost]:
    """Return the estimated costs of models. `images` has the number of images per split.

    A step takes `batch_size` images three times as long as their embedding, whose speed was measured for the ranking. Where it
    was not, the model is measured by one step, or by its GMACs in relation to those that are known.
    """
    batch = min(params.finetune.batch_size, images["train"])
    seconds = {row.model: batch / row.speed.images_per_second / FORWARD for row in rows if row.speed}
    unknown = [row for row in rows if row.model not in seconds]
    if unknown and not seconds:
        seconds |= _measured(unknown, models, batch, params)
    per_gmac = [seconds[row.model] / row.facts.gmacs for row in rows if row.model in seconds and row.facts and row.facts.gmacs]
    middle = statistics.median(seconds.values())
    for row in unknown:
        known = row.facts.gmacs if row.facts and per_gmac else None
        seconds.setdefault(row.model, statistics.median(per_gmac) * known if known else middle)
    return {row.model: _cost(max(seconds[row.model], LEAST), batch, images, params) for row in rows}


def _measured(rows: Sequence[RankedModel], models: Mapping[str, ModelRef], batch: int, params: Params) -> dict[str, float]:
    """Return the seconds of a step of the first model that can be measured."""
    problem = "no model was given"
    for row in rows:
        try:
            return {row.model: step_seconds(Extractor(models[row.model]), batch, params)}
        except Exception as error:  # code of a model can raise anything; the model fails once it is trained
            log.debug("%s: no step can be measured: %s", row.model, error)
            problem = str(error)
    raise ModelError(f"no step of any model can be measured, so nothing can be planned: {problem}")


def _cost(step: float, batch: int, images: Mapping[SplitName, int], params: Params) -> Cost:
    """Return the cost of a model: embeddings twice to begin, and all evaluations of a run."""
    evaluation, everything = FORWARD * step / batch, sum(images.values())
    run = step * params.finetune.steps + evaluation * (params.finetune.evaluations * images["val"] + everything)
    return Cost(start=BEGIN + 2 * evaluation * everything, run=run)


def corrected(costs: Mapping[str, Cost], experiments: Iterable[TrainedRung], steps: int) -> dict[str, Cost]:
    """Return the costs, multiplied by how much longer the experiments took than was estimated.

    A model without experiments takes the factor of all together.
    """
    actual: dict[str, float] = {}
    expected: dict[str, float] = {}
    reached: dict[tuple[str, float, int], int] = {}
    for own in experiments:
        cost = costs.get(own.model)
        if cost is None or own.step == 0:  # it failed before its first step, which says nothing of the others
            continue
        run = own.model, own.learning_rate, own.seed
        begins = 0.0 if own.model in expected else cost.start
        share = max(0, own.step - reached.get(run, 0)) / steps
        expected[own.model] = expected.get(own.model, 0.0) + begins + share * cost.run
        actual[own.model] = actual.get(own.model, 0.0) + own.seconds
        reached[run] = max(own.step, reached.get(run, 0))
    whole = sum(actual.values()) / sum(expected.values()) if actual else 1.0
    factors = {name: max(LEAST_FACTOR, actual[name] / expected[name] if name in actual else whole) for name in costs}
    return {name: Cost(cost.start * factors[name], cost.run * factors[name]) for name, cost in costs.items()}


def grid_seconds(costs: Mapping[str, Cost], rates: int) -> float:
    """Return the seconds of the full grid: one whole run of every model at every learning rate."""
    return sum(cost.start + rates * cost.run for cost in costs.values())
