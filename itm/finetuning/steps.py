"""Steps of fine-tuning one pair: how many there are, how many are left, and the time at which it is given up."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from itm.core.errors import ModelError
from itm.core.progress import progress_bar
from itm.core.sections import FinetuneParams
from itm.core.text import duration
from itm.core.types import Protocol
from itm.finetuning.protocols import RATE_FACTORS


@dataclass(frozen=True)
class Deadline:
    """The time, in seconds since the epoch, at which a limit of so many seconds is used up; other processes know it, too."""

    at: float
    seconds: float

    @classmethod
    def after(cls, seconds: float | None) -> "Deadline | None":
        """Return the deadline of a limit that begins now."""
        return None if seconds is None else cls(time.time() + seconds, seconds)


class OutOfTimeError(ModelError):
    """A pair was not ready at its deadline."""


def learning_rates(params: FinetuneParams, train_images: int, classes: int, protocol: Protocol = "full") -> tuple[float, ...]:
    """Return the learning rates to search. They depend on the protocol, and are lower if classes have few training images."""
    divisor = params.few_images_divisor if train_images < params.few_images * classes else 1
    return tuple(float(f"{RATE_FACTORS[protocol] * rate / divisor:.6g}") for rate in params.learning_rates)


def total_steps(params: FinetuneParams, rates: int) -> int:
    """Return the number of steps of all runs of one pair, without early stopping."""
    protocols = sum(protocol in RATE_FACTORS for protocol in params.protocols)
    return protocols * (rates * params.search + params.seeds * params.steps)


class Progress:
    """Counts the steps of one pair."""

    def __init__(self, title: str, steps: int, deadline: Deadline | None) -> None:
        self.title, self.left, self.deadline = title, steps, deadline
        self._advance: Callable[[int], None] = lambda _: None
        self._in_run = 0

    @contextmanager
    def shown(self) -> Iterator[Callable[[], None]]:
        """Show the steps that are left now, and yield the function to call after each step."""
        with progress_bar(f"{self.title}: training", self.left, "steps") as self._advance:
            yield self._step

    @contextmanager
    def run(self, steps: int) -> Iterator[None]:
        """Count a run of so many steps as done when it ends, also if it stops early."""
        self._in_run = 0
        yield
        self.skip(steps - self._in_run)

    def skip(self, steps: int) -> None:
        """Count steps that need not be taken."""
        self.left -= steps
        self._advance(steps)

    def _step(self) -> None:
        self._in_run += 1
        self.skip(1)
        if self.deadline and time.time() >= self.deadline.at:
            raise OutOfTimeError(
                f"was not ready after {duration(self.deadline.seconds)}, the limit of limits.seconds (--budget); "
                "its finished runs are kept, and the same command with more time goes on from there."
            )
