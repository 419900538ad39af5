"""Results of task runs, and of tasks that are called without Prefect."""

import logging
from typing import Any, TypeVar, cast

from prefect import Task
from prefect.client.schemas.objects import State
from prefect.utilities.annotations import quote

from itm.core.secrets import error_message, hide_secrets

log = logging.getLogger("itm.flow")

T = TypeVar("T")


def reason(state: State[Any]) -> str:
    """Return why a task run did not complete."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, Exception):
        return error_message(error)
    return hide_secrets(f"ended as {state.name}: {state.message or 'no message'}")


def tracking_problem(state: State[Any], stored: str) -> str:
    """Return and log why a result was not tracked, and where it is stored; nothing if it was tracked."""
    return "" if state.is_completed() else _not_tracked(reason(state), stored)


def attempt(track: Task[..., Any], *arguments: Any, stored: str) -> str:
    """Call a tracking task without Prefect. Return and log why the result was not tracked; nothing if it was."""
    try:
        track.fn(*arguments)
    except Exception as error:  # as in a task run
        return _not_tracked(error_message(error), stored)
    return ""


def _not_tracked(why: str, stored: str) -> str:
    problem = f"{why} ({stored})"
    log.error("not tracked: %s", problem)
    return problem


def opaque(value: T) -> T:
    """Wrap an argument of a task. Prefect then does not search thousands of outcomes for futures, which takes seconds."""
    return cast(T, quote(value))
