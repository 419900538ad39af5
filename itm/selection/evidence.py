"""The runs of the candidates so far, and what the policy sees of them."""

import logging
from collections.abc import Iterator, Mapping

from itm.core.errors import is_expected
from itm.core.params import Params
from itm.core.secrets import error_message
from itm.core.types import ModelRef
from itm.finetuning.rungs import Rung, stored_rungs
from itm.prediction.observations import Observation
from itm.selection.question import Question

log = logging.getLogger(__name__)

Key = tuple[str, int, int]  # of a run: model, number of the learning rate, seed


class Evidence:
    """The stored runs of all candidates, those of `itm finetune` included."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.rungs: dict[str, tuple[Rung, ...]] = {}
        for name, model in question.models.items():
            self.update(name, model)

    def update(self, name: str, model: ModelRef) -> None:
        """Read the runs of a model again."""
        own = self.question
        try:
            found = stored_rungs(model, own.data, own.params.finetune, own.params.extract, own.store)
        except Exception as error:  # training it raises the error again
            log.debug("%s: no runs can be looked up: %s", name, error_message(error), exc_info=not is_expected(error))
            found = ()
        grid = set(own.rates)
        self.rungs[name] = tuple(rung for rung in found if rung.protocol == own.protocol and rung.learning_rate in grid)

    def key(self, name: str, rung: Rung) -> Key:
        return name, self.question.rates.index(rung.learning_rate), rung.seed - self.question.params.finetune.seed

    def run(self, key: Key) -> Rung | None:
        """Return a run, or None if it has not begun."""
        return next((rung for rung in self.rungs.get(key[0], ()) if self.key(key[0], rung) == key), None)

    @property
    def ended(self) -> set[Key]:
        """Return the runs that cannot go on."""
        return {self.key(name, rung) for name, rungs in self.rungs.items() for rung in rungs if rung.over}

    def observations(self) -> list[Observation]:
        """Return what the policy sees, in the order of models, learning rates and seeds."""
        every = [(self.key(name, rung), rung) for name, rungs in self.rungs.items() for rung in rungs]
        return [own for key, rung in sorted(every, key=lambda pair: pair[0]) for own in self._observed(key[0], rung)]

    def _observed(self, name: str, rung: Rung) -> Iterator[Observation]:
        """Yield a run's results at the shares of the policy.

        A run that is over was observed at its end: with the accuracy of its best step, which is kept. If its loss was not
        finite, nothing can be kept, and it is as good as the commonest class.
        """
        own = self.question
        (_, rate, seed), images, shares = self.key(name, rung), own.images["val"], own.shares
        best = max((mark.accuracy for mark in rung.marks), default=own.baseline)
        for mark in rung.marks:
            share = shares.get(mark.step)
            if share is not None and share < 1:
                yield Observation(name, own.known_rates[rate], seed, share, mark.accuracy, images)
        if rung.over:
            accuracy = best if rung.finite else own.baseline
            yield Observation(name, own.known_rates[rate], seed, 1.0, accuracy, images)


def validation_baseline(targets: Mapping[str, int]) -> float:
    """Return the accuracy of always naming the commonest class, given how often each occurs."""
    return max(targets.values(), default=0) / max(sum(targets.values()), 1)


def finetuning_params(params: Params) -> Params:
    """Return parameters whose stored runs are used: those of a search are its memory."""
    if params.extract.resume != "always":
        return params
    return params.model_copy(update={"extract": params.extract.model_copy(update={"resume": "only-missing"})})
