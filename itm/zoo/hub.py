"""Weight files of the models of timm, of the Hugging Face Hub and of other libraries."""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from itm.core.errors import ModelError
from itm.core.secrets import error_message, hide_secrets
from itm.core.sections import ZooParams
from itm.core.text import join_names
from itm.core.types import Failure, ModelRef
from itm.zoo.downloads import UnreachableError, hub_file, short_message, url_file, verify
from itm.zoo.libraries import find_library
from itm.zoo.names import HUB
from itm.zoo.timm_names import timm_config
from itm.zoo.weight_cache import FILES

log = logging.getLogger(__name__)

PARALLEL_DOWNLOADS = 4
SHOWN = 4  # names in a message


def weights_source(model: ModelRef) -> str:
    """Return the name of the weights of `model` that can be downloaded, or "" for a model with its own file."""
    if model.checkpoint is not None:
        return ""
    if model.repository is not None:
        return f"{HUB}{model.repository}"
    return model.architecture or "" if model.pretrained else ""


def pretrained_file(name: str) -> Path:
    """Return the local weight file of a name from `weights_source`: timm's ``architecture.tag``, or one with a source.

    A missing file is downloaded if the network is allowed.

    A cached file is used without looking for a newer one: the hash of the file is the identity of the model, so it must not
    change by itself. A downloaded file is verified with its checksum.

    Raises
    ------
    UnreachableError
        If the network or the server failed, or the download is damaged.
    ModelError
        If there is no such file and it cannot be downloaded. The message says how to get it.
    """
    if name.startswith(HUB):
        return hub_file(name, name.removeprefix(HUB))
    if library := find_library(name):
        return library.weight_file(name)
    config = timm_config(name)
    if config.get("hf_hub_id"):
        return hub_file(name, config["hf_hub_id"], (config["hf_hub_filename"],) if "hf_hub_filename" in config else FILES)
    if config.get("url"):
        return url_file(name, config["url"])
    raise ModelError(f"timm has no pre-trained weights for {name}; give your own as `checkpoint` in a zoo file.")


def prefetch(models: Iterable[ModelRef], zoo: ZooParams) -> tuple[tuple[ModelRef, ...], tuple[Failure, ...]]:
    """Return the models whose weights are available after downloading weights, and a failure per other model.

    Called before workers start, so that each file is downloaded once.
    A cached file is verified with its checksum unless it is unchanged, and downloaded again if damaged. Network errors, server
    errors and damaged downloads are retried in rounds: each round tries all remaining files. `zoo` sets the number of rounds
    and the waits. Other errors are not retried.
    """
    models = tuple(models)
    errors = _download(dict.fromkeys(name for model in models if (name := weights_source(model))), zoo)
    available = tuple(model for model in models if weights_source(model) not in errors)
    reasons = ((model.name, errors[name]) for model in models if (name := weights_source(model)) in errors)
    return available, tuple(Failure("", name, "prefetch", reason) for name, reason in reasons)


def _download(names: Iterable[str], zoo: ZooParams) -> dict[str, str]:
    """Download missing files in rounds. Return an error message per file that failed."""
    messages, waiting = dict[str, str](), list(names)
    for attempt in range(1, zoo.fetch_attempts + 1):
        with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            errors = {name: error for name, error in zip(waiting, pool.map(_download_one, waiting), strict=True) if error}
        waiting = [name for name, error in errors.items() if isinstance(error, UnreachableError)]
        messages |= {name: error_message(error) for name, error in errors.items() if name not in waiting}
        if not waiting:
            return messages
        if attempt < zoo.fetch_attempts:
            wait = zoo.fetch_wait * 2 ** (attempt - 1)
            causes = _causes({name: errors[name] for name in waiting})
            log.warning("attempt %d of %d: not downloaded: %s; retrying in %g s", attempt, zoo.fetch_attempts, causes, wait)
            time.sleep(wait)
    return messages | {name: f"{error_message(errors[name])} Tried {zoo.fetch_attempts} times." for name in waiting}


def _causes(errors: dict[str, Exception]) -> str:
    """Return the names and what kept each from being downloaded, each cause once."""
    names: dict[str, list[str]] = {}
    for name, error in errors.items():
        cause = error.__cause__
        names.setdefault(hide_secrets(short_message(cause) if cause else str(error)), []).append(name)
    return "; ".join(f"{join_names(own, SHOWN)} ({cause})" for cause, own in names.items())


def _download_one(name: str) -> Exception | None:
    """Download and verify one weight file. Return the error, or None."""
    try:
        verify(pretrained_file(name))
    except Exception as error:  # one failure must not stop the other downloads
        return error
    return None
