"""timm's own weights brought into the cache once, before work fans out, so that no two workers ask the network for one file."""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from itm.errors import ModelError
from itm.params import ZooParams
from itm.types import Failure, ModelRef
from itm.zoo.hub import UnreachedError, pretrained_file, verify

log = logging.getLogger(__name__)

TOGETHER = 4  # downloads side by side, so that a server that does not answer holds up few others


def prefetch(models: Iterable[ModelRef], zoo: ZooParams) -> tuple[tuple[ModelRef, ...], tuple[Failure, ...]]:
    """Return the models whose weights are here or have just been fetched, and a failure for each of the others.

    Only weights of timm's are fetched; what is in the cache is compared with its checksum, and fetched again where it differs.
    Every file is tried before any is tried again, and only where the network, the server or the bytes were the trouble, as
    often and with such pauses as `zoo` says. A file that is refused, or missing without network, fails at once.
    """
    asked = tuple(models)
    wanted = {model.architecture or "" for model in asked if model.pretrained and model.checkpoint is None}
    waiting, reasons = sorted(wanted), dict[str, str]()
    for attempt in range(zoo.fetch_attempts if waiting else 0):
        if attempt:
            pause = zoo.fetch_wait * 2 ** (attempt - 1)
            log.warning("%d weight files could not be fetched; trying again in %g s", len(waiting), pause)
            time.sleep(pause)
        with ThreadPoolExecutor(TOGETHER) as pool:
            tried = dict(zip(waiting, pool.map(_problem, waiting), strict=True))
        reasons |= {name: str(error) for name, error in tried.items() if error}
        for name in [name for name, error in tried.items() if error is None]:
            reasons.pop(name, None)
        waiting = [name for name, error in tried.items() if isinstance(error, UnreachedError)]
        if not waiting:
            break
    for name in waiting:
        reasons[name] += f" Tried {zoo.fetch_attempts} times."
    here = tuple(model for model in asked if not _own(model) or model.architecture not in reasons)
    missing = tuple(
        Failure("", model.name, "prefetch", reasons[model.architecture or ""]) for model in asked if model not in here
    )
    return here, missing


def _problem(name: str) -> ModelError | None:
    """Fetch one file where it is missing, and return why it is still not here, or not whole."""
    try:
        verify(pretrained_file(name))
    except ModelError as error:
        return error
    return None
