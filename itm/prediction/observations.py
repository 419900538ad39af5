"""Validation results of fine-tuning runs, as evidence."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Observation:
    """The validation accuracy of a run after a share of its steps, on so many images.

    A run whose loss stopped being finite is observed at the accuracy of the commonest class.
    """

    model: str
    learning_rate: float
    seed: int
    share: float
    accuracy: float
    images: int


def last_of_each_run(observed: Iterable[Observation]) -> list[Observation]:
    """Return the result of each run at its largest share."""
    found: dict[tuple[str, float, int], Observation] = {}
    for own in observed:
        run = own.model, own.learning_rate, own.seed
        if run not in found or own.share >= found[run].share:
            found[run] = own
    return list(found.values())
