"""timm's own weights brought into the cache once, before work fans out, so that no two workers ask the network for one file."""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from itm.core.secrets import told
from itm.core.sections import ZooParams
from itm.core.types import Failure, ModelRef
from itm.zoo.hub import UnreachedError, pretrained_file, verify

log = logging.getLogger(__name__)

TOGETHER = 4  # downloads side by side, so that a server that does not answer holds up few others


def prefetch(models: Iterable[ModelRef], zoo: ZooParams) -> tuple[tuple[ModelRef, ...], tuple[Failure, ...]]:
    """Return the models whose weights are here or have just been fetched, and a failure for each of the others.

    Only weights of timm's are fetched; what is in the cache is compared with its checksum unless it looks unchanged since, and
    fetched again where it differs. Every file is tried before any is tried again, and only where the network, the server or the
    bytes were the trouble, as often and with such pauses as `zoo` says. A file that is refused, or missing without network,
    fails at once.
    """
    models = tuple(models)
    missing = _missing(dict.fromkeys(name for model in models if (name := _fetched_as(model))), zoo)
    here = tuple(model for model in models if _fetched_as(model) not in missing)
    reasons = ((model.name, missing[name]) for model in models if (name := _fetched_as(model)) in missing)
    return here, tuple(Failure("", name, "prefetch", reason) for name, reason in reasons)


def _fetched_as(model: ModelRef) -> str:
    """Return timm's name of the weights, and nothing for a model that brings its own."""
    return model.architecture or "" if model.pretrained and model.checkpoint is None else ""


def _missing(names: Iterable[str], zoo: ZooParams) -> dict[str, str]:
    """Fetch what is not there, in rounds, and return why the rest could not be had."""
    missing, waiting = dict[str, str](), list(names)
    for attempt in range(1, zoo.fetch_attempts + 1):
        with ThreadPoolExecutor(TOGETHER) as pool:
            problems = {name: error for name, error in zip(waiting, pool.map(_problem, waiting), strict=True) if error}
        waiting = [name for name, error in problems.items() if isinstance(error, UnreachedError)]
        missing |= {name: told(error) for name, error in problems.items() if name not in waiting}
        if not waiting:
            return missing
        if attempt < zoo.fetch_attempts:
            pause = zoo.fetch_wait * 2 ** (attempt - 1)
            log.warning("not fetched: %s; trying again in %g s", ", ".join(waiting), pause)
            time.sleep(pause)
    return missing | {name: f"{told(problems[name])} It was tried {zoo.fetch_attempts} times." for name in waiting}


def _problem(name: str) -> Exception | None:
    """Have one file where it belongs, and return what keeps it from being there and whole."""
    try:
        verify(pretrained_file(name))
    except Exception as error:  # whatever it is, the other models do not wait for it
        return error
    return None
