"""From the state of a search to the record of its answer."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from itm.core.errors import ItmError
from itm.core.rankings import RankedModel
from itm.core.selections import (
    FoundRecipe,
    LearningCurve,
    OtherPick,
    PredictedModel,
    Selection,
    Stop,
)
from itm.core.types import Failure
from itm.finetuning.rungs import Rung
from itm.finetuning.weights import read_facts, weights_path
from itm.selection.costs import grid_seconds
from itm.selection.evidence import Evidence
from itm.selection.journal import Journal
from itm.selection.policy import Cost, Experiment, Standing
from itm.selection.question import Question
from itm.zoo.facts import preprocessing_without_weights

log = logging.getLogger(__name__)

HALF = 0.5  # of the size or the latency of the pick


@dataclass(frozen=True)
class Found:
    """What a search knows when the answer is built. `pick` is the run whose end is the checkpoint of the answer."""

    question: Question
    evidence: Evidence
    journal: Journal
    standing: Standing | None
    failures: Mapping[str, Failure]
    pick: Experiment | None
    costs: Mapping[str, Cost]
    spent: float
    stop: Stop
    why: str


def build_selection(found: Found) -> Selection:
    """Return the record of the answer."""
    question, pick = found.question, found.pick
    models = _predicted(found)
    best = next((row for row in models if pick and row.model == pick.model), None)
    rung = found.evidence.run((pick.model, pick.rate, pick.seed)) if pick else None
    weights = _weights(found)
    return Selection(
        data=question.data.name,
        source=question.data.source,
        data_hash=question.data.hash,
        protocol=question.protocol,
        classes=len(question.data.target.names),
        validation_images=question.images["val"],
        budget=question.budget,
        spent=round(found.spent, 1),
        grid_seconds=round(grid_seconds(found.costs, len(question.rates)), 1),
        stop=found.stop,
        why=found.why,
        pick=pick.model if pick else None,
        others=other_picks(models, best) if best else (),
        models=models,
        recipe=_recipe(found, pick, rung) if pick else None,
        weights_file=weights[0] if weights else None,
        test=weights[1] if weights else None,
        test_images=question.images["test"],
        states=found.journal.states,
        experiments=found.journal.experiments,
        curves=_curves(found.evidence),
        excluded=question.excluded,
        failures=(*question.failures, *found.failures.values()),
    )


def other_picks(models: tuple[PredictedModel, ...], pick: PredictedModel) -> tuple[OtherPick, ...]:
    """Return other models worth a look, each once.

    They are the most accurate model, if it is not the pick; the most accurate of those that have at most half of the latency
    of the pick, or of its GMACs where the latency is unknown; and the fastest whose expected accuracy is within the interval of
    the pick.
    """
    rest = [row for row in models if row.model != pick.model]
    found: dict[str, OtherPick] = {}
    better = max((row for row in rest if row.accuracy > pick.accuracy), key=lambda row: row.accuracy, default=None)
    if better:
        found[better.model] = OtherPick(better.model, "most accurate")
    by_latency = pick.latency_ms is not None
    cost = pick.latency_ms if by_latency else pick.gmacs
    if cost:
        costs = [(row, row.latency_ms if by_latency else row.gmacs) for row in rest]
        small = [row for row, own in costs if own is not None and own <= HALF * cost]
        fast = [(own, row.model) for row, own in costs if own is not None and own < cost and row.accuracy >= pick.low]
        if small:
            best = max(small, key=lambda row: row.accuracy).model
            found.setdefault(best, OtherPick(best, "smaller"))
        if fast:
            found.setdefault(min(fast)[1], OtherPick(min(fast)[1], "faster"))
    return tuple(found.values())


def _predicted(found: Found) -> tuple[PredictedModel, ...]:
    """Return what is predicted of every model, most accurate first."""
    rows = {row.model: row for row in found.question.ranking.rows}
    left = dict(found.journal.left)
    reached = {name: _reached(rungs) for name, rungs in found.evidence.rungs.items()}
    return tuple(
        PredictedModel(
            model=own.model,
            accuracy=own.accuracy,
            low=own.low,
            high=own.high,
            chance_best=own.chance_best,
            left_at=left.get(own.model),
            reached=reached.get(own.model),
            **_facts(rows[own.model]),
        )
        for own in (found.standing.predictions if found.standing else ())
    )


def _facts(row: RankedModel) -> dict[str, Any]:
    facts, speed = row.facts, row.speed
    return {
        "weights": row.weights,
        "rank": row.rank,
        "gmacs": facts.gmacs if facts else None,
        "parameters": facts.parameters if facts else None,
        "latency_ms": speed.latency_ms if speed else None,
    }


def _reached(rungs: tuple[Rung, ...]) -> float | None:
    """Return the test accuracy of the finished run that is best on the validation images."""
    finished = [rung for rung in rungs if rung.test_accuracy is not None and rung.marks]
    best = max(finished, key=lambda rung: max(mark.accuracy for mark in rung.marks), default=None)
    return best.test_accuracy if best else None


def _weights(found: Found) -> tuple[str, float | None] | None:
    """Return the file of the trained weights of the pick, if they are kept, and their test accuracy, if they are tested."""
    question, pick = found.question, found.pick
    if pick is None:
        return None
    try:
        path = weights_path(question.models[pick.model], question.data.name, question.data.hash, question.store)
    except ItmError as error:  # its weight file has disappeared; training it says so
        log.debug("%s", error)
        return None
    facts = read_facts(path)
    return (str(path), facts.test_accuracy) if facts else None


def _recipe(found: Found, pick: Experiment, rung: Rung | None) -> FoundRecipe:
    question = found.question
    params, speed = question.params.finetune, {row.model: row.speed for row in question.ranking.rows}[pick.model]
    height, width = preprocessing_without_weights(question.models[pick.model])["input_size"][-2:]
    cost = found.costs[pick.model]
    return FoundRecipe(
        protocol=question.protocol,
        learning_rate=question.rates[pick.rate],
        seed=params.seed + pick.seed,
        steps=params.steps,
        best_step=rung.best_step if rung and rung.over else None,
        batch_size=params.batch_size,
        weight_decay=params.weight_decay,
        warmup=params.warmup,
        crop=params.crop,
        mirror=params.mirror,
        batch_norm=rung.batch_norm if rung else params.batch_norm,
        input_size=(height, width),
        seconds=round(cost.start + cost.run, 1),
        memory=speed.finetune_memory if speed else None,
    )


def _curves(evidence: Evidence) -> tuple[LearningCurve, ...]:
    return tuple(
        LearningCurve(name, rung.learning_rate, rung.seed, tuple((mark.step, mark.accuracy) for mark in rung.marks))
        for name, rungs in evidence.rungs.items()
        for rung in rungs
        if rung.marks
    )
