"""Finds the pipeline that commands hand over to, without knowing which it is."""

import logging
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from itm.core.params import Params

log = logging.getLogger("itm")


def installed(step: str, params: "Params") -> Callable[..., Any] | None:
    """Return what runs a step in an installed pipeline; None where there is none, or `inline` is asked for."""
    if params.runner.kind == "inline":
        return None
    for entry in entry_points(group="itm.pipelines", name=step):
        try:
            run: Callable[..., Any] = entry.load()
        except ModuleNotFoundError as error:
            log.warning("the pipeline of `itm %s` is not installed (%s); running inline, without tracking", step, error)
            return None
        return run
    return None
