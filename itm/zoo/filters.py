"""The rules by which models are left out: limits of size, cost, latency and memory, and licences of weights."""

from collections.abc import Iterable
from dataclasses import dataclass

from itm.core.filter_section import FilterParams
from itm.core.quantities import format_bytes, format_count
from itm.core.types import Exclusion, Facts, ModelRef, Speed
from itm.zoo.facts_table import known_models
from itm.zoo.licences import licence_filter


@dataclass(frozen=True)
class Bounds:
    """Limits of models. A model of which a fact is unknown does not keep a limit of this fact.

    `max_latency` is in milliseconds and `max_memory` in bytes. The licence None of `licences` is an unknown one.
    """

    max_params: int | None = None
    max_gmacs: float | None = None
    licences: frozenset[str | None] | None = None
    max_latency: float | None = None
    max_memory: int | None = None

    def by_licence(self, model: str, licence: str | None) -> Exclusion | None:
        """Return why the licence of its weights excludes a model, or None."""
        if self.licences is None or licence in self.licences:
            return None
        return Exclusion(model, f"the licence of its weights is {licence or 'unknown'}", "licences")

    def by_size(self, model: str, facts: Facts | None) -> Exclusion | None:
        """Return why its number of parameters or its GMACs exclude a model, or None."""
        if self.max_params is not None:
            if facts is None:
                return Exclusion(model, "its number of parameters is unknown", "max_params")
            if facts.parameters > self.max_params:
                reason = f"{format_count(facts.parameters)} parameters are more than {format_count(self.max_params)}"
                return Exclusion(model, reason, "max_params")
        if self.max_gmacs is not None:
            if facts is None or facts.gmacs is None:
                return Exclusion(model, "its GMACs are unknown", "max_gmacs")
            if facts.gmacs > self.max_gmacs:
                return Exclusion(model, f"{facts.gmacs:.3g} GMACs are more than {self.max_gmacs:g}", "max_gmacs")
        return None

    def by_speed(self, model: str, speed: Speed | None) -> Exclusion | None:
        """Return why its latency or the memory of its fine-tuning excludes a model, or None."""
        if self.max_latency is not None:
            if speed is None:
                return Exclusion(model, "its latency on this device is unknown", "max_latency")
            if speed.latency_ms > self.max_latency:
                reason = f"{speed.latency_ms:.3g} ms per image on {speed.device} are more than {self.max_latency:g} ms"
                return Exclusion(model, reason, "max_latency")
        if self.max_memory is not None:
            needed = speed.finetune_memory if speed else None
            if needed is None:
                return Exclusion(model, "the memory of its fine-tuning is unknown", "max_memory")
            if needed > self.max_memory:
                reason = f"fine-tuning takes {format_bytes(needed)}, more than {format_bytes(self.max_memory)}"
                return Exclusion(model, reason, "max_memory")
        return None


def bounds(filters: FilterParams, models: Iterable[ModelRef] = ()) -> Bounds:
    """Return the limits of the parameters. The licences of `models`, besides those of timm's, are known ones.

    Raises
    ------
    ParamsError
        If a licence is not known.
    """
    allowed: frozenset[str | None] | None = None
    if filters.licences:
        stated = {known.licence for known in known_models().values() if known.licence}
        stated |= {model.licence for model in models if model.licence}
        allowed = frozenset().union(*(licence_filter(wanted, stated) for wanted in filters.licences))
    return Bounds(filters.max_params, filters.max_gmacs, allowed, filters.max_latency, filters.max_memory)
