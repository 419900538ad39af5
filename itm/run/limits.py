"""What a run may spend: how many models, how much time, how much time of devices."""

import time
from collections.abc import Sequence

from itm.core.sections import LimitParams
from itm.core.types import Failure, Features, ModelRef, Outcome

STEP = "limits"


class Budget:
    """What is left of the limits of one run; the clock it reads cannot be set back."""

    def __init__(self, limits: LimitParams) -> None:
        self.limits, self._began, self._device_seconds = limits, time.monotonic(), 0.0

    def take(self, features: Features) -> None:
        """Count the time that a device needed for these features, unless they were stored."""
        if not features.cached:
            self._device_seconds += features.seconds

    def spent(self, on_device: bool = True) -> str:
        """Return which limit stands in the way of beginning more, `on_device` or beside it; nothing where none does."""
        seconds, device_seconds = self.limits.seconds, self.limits.device_seconds
        if seconds is not None and time.monotonic() - self._began >= seconds:
            return f"limits.seconds ({seconds:g}) were over before its turn came; the next run begins with it"
        if on_device and device_seconds is not None and self._device_seconds >= device_seconds:
            return f"limits.device_seconds ({device_seconds:g}) were used up before its turn came; the next run begins with it"
        return ""


def over_budget(data: str, model: str, reason: str, features: Features | None = None) -> Outcome:
    """Return the outcome of a pair that a limit did not let begin."""
    return Outcome(data, model, features, (), (Failure(data, model, STEP, reason),))


def first_models(models: Sequence[ModelRef], most: int | None) -> tuple[list[ModelRef], list[Failure]]:
    """Return the first models, as many as are allowed, and a failure for each of the others."""
    if most is None:
        return list(models), []
    reason = f"is beyond limits.max_models ({most}) of {len(models)} models; raise it, or name fewer."
    return list(models[:most]), [Failure("", model.name, STEP, reason) for model in models[most:]]
