"""The run that trains the pick to its end, as a source of one task."""

from collections.abc import Callable
from dataclasses import dataclass, field

from itm.core.types import Outcome
from itm.run.adaptive import Task


@dataclass
class FinalRun:
    """One experiment that the policy does not choose: `begin` makes the task, and `take` gets its result."""

    begin: Callable[[], Task]
    take: Callable[[Task, Outcome], None]
    is_begun: bool = field(default=False, init=False)

    def next(self) -> Task | None:
        """Return the task, once."""
        if self.is_begun:
            return None
        self.is_begun = True
        return self.begin()
