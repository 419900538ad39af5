"""The section `filters` of params.yaml: which models are left out before anything is downloaded or computed."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, PositiveFloat, PositiveInt

from itm.core.quantities import parse_bytes, parse_count, parse_milliseconds
from itm.core.sections import Record
from itm.core.variants import as_list


def _text_by(parse: Callable[[str], float]) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


class FilterParams(Record):
    """Limits that a model must keep to be ranked. None and an empty list mean no limit. An unknown fact keeps no limit.

    `max_params` is the number of parameters, such as "30M", and `max_gmacs` the billions of multiply-adds per image.
    `max_latency` is the time of one image on the device of the run, in milliseconds or such as "5ms". `max_memory` is what a
    step of full fine-tuning takes there, in bytes or such as "8GB". `licences` are allowed licences of the weights:
    "permissive", "unknown", or identifiers such as "apache-2.0".

    With `race`, models that are clearly behind on a part of the images are left out as well (`itm.run.race`).
    """

    max_params: Annotated[PositiveInt | None, _text_by(parse_count)] = None
    max_gmacs: PositiveFloat | None = None
    max_latency: Annotated[PositiveFloat | None, _text_by(parse_milliseconds)] = None
    max_memory: Annotated[PositiveInt | None, _text_by(parse_bytes)] = None
    licences: Annotated[tuple[str, ...], BeforeValidator(as_list)] = ()
    race: bool = False

    @property
    def needs_speed(self) -> bool:
        """Return whether a limit needs the speed or memory of models, which are measured."""
        return self.max_latency is not None or self.max_memory is not None

    @property
    def needs_size(self) -> bool:
        """Return whether a limit needs the size or cost of models."""
        return self.max_params is not None or self.max_gmacs is not None

    def as_set(self) -> dict[str, Any]:
        """Return the limits that are set, as plain values."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value not in (None, [], False)}
