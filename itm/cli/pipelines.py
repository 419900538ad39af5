"""Finds the flow that runs a command, without knowing which it is: entry points of the group `itm.pipelines` name it."""

import logging
from collections.abc import Callable
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from itm.core.errors import ServerError
from itm.core.extras import EXTRAS, MissingExtraError, install_command, missing_packages, require

if TYPE_CHECKING:
    from itm.core.params import Params

log = logging.getLogger("itm")

Run = Callable[..., Any]
WITHOUT = "Without it, `itm rank`, `itm finetune`, `itm evaluate` and `itm status` work."
FLOWS = {"flows", "tasks"}  # packages of the repository that the wheel does not contain


def find_pipeline(step: str, params: "Params") -> Run | None:
    """Return the flow of a command, or None if `runner.kind` is "inline" or the pipeline is not installed.

    If `runner.kind` is "dask", an installed pipeline needs its Dask runner.
    """
    if params.runner.kind == "inline":
        return None
    _check_runner(params)
    try:
        run = _load(step)
    except ServerError as error:
        log.warning("running without Prefect and without MLflow tracking. %s", error)
        return None
    if run is None and params.track.uri:
        log.warning("running without Prefect and without MLflow tracking. %s", _how_to_install("The pipeline"))
    return run


def required_pipeline(step: str, params: "Params | None" = None) -> Run:
    """Return the flow of a command that cannot run without one.

    Raises
    ------
    MissingExtraError
        If the pipeline is not installed, or Dask is not and `runner.kind` is "dask".
    ServerError
        If Prefect cannot be imported with these settings.
    """
    if params:
        _check_runner(params)
    run = _load(step)
    if run is None:
        raise MissingExtraError(f"{_how_to_install(f'`itm {step}`')} {WITHOUT}")
    return run


def _check_runner(params: "Params") -> None:
    if params.runner.kind == "dask":
        require("dask", "runner.kind 'dask'")


def _load(step: str) -> Run | None:
    for entry in entry_points(group="itm.pipelines", name=step):
        try:
            run: Run = entry.load()
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in FLOWS.union(*EXTRAS.values()):
                return None
            raise
        except Exception as error:  # wrong settings or profiles, no home directory, packages that do not match
            cause = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise ServerError(
                f"Prefect cannot be imported ({cause}); check the variables PREFECT_... and HOME, or install Prefect again."
            ) from error
        return run
    return None


def _how_to_install(what: str) -> str:
    """Return what is missing and the command that installs it."""
    clone = "the flows, which are not in the wheel: in a clone of the repository, run pip install -e '.[pipeline]'"
    has_flows = all(find_spec(package) for package in FLOWS)
    if missing := missing_packages("pipeline"):
        extra = f"{what} needs {', '.join(missing)}; run {install_command('pipeline')}."
        return extra if has_flows else f"{extra} It also needs {clone} instead."
    return f"{what} needs {clone}."
