"""Models by the names that users give."""

from typing import Any

from itm.core.sections import ZooParams
from itm.core.types import ModelRef
from itm.zoo.resolve import resolve


def the_model(name: str, **zoo: Any) -> ModelRef:
    (model,), failures = resolve(ZooParams(models=(name,), **zoo))
    assert not failures
    return model


def why(name: str) -> str:
    found, (failure,) = resolve(ZooParams(models=(name,)))
    assert not found
    return failure.reason
