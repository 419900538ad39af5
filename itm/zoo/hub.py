"""Files of timm weights, from the local cache or from the network if allowed."""

import logging
import re
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import huggingface_hub
import torch
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.file_download import get_hf_file_metadata, http_get

from itm.core.errors import ModelError, StoreError
from itm.core.secrets import error_message, hide_secrets
from itm.core.sections import ZooParams
from itm.core.types import Failure, ModelRef
from itm.store.files import write_atomically
from itm.store.hash_cache import cached_hash
from itm.zoo.timm_names import timm_config

log = logging.getLogger(__name__)

PARALLEL_DOWNLOADS = 4
FILES = ("model.safetensors", "pytorch_model.bin")
RETRY_STATUSES = {408, 425, 429}  # besides all from 500 on
CLIENT_ERROR = HfHubHTTPError.__bases__[0]  # error of the HTTP client that huggingface_hub uses
_SHA256 = re.compile(r"([0-9a-f]{64})")
_HASH_IN_NAME = re.compile(r"-(?!\d+\.)([0-9a-f]{8,64})\.")  # convention of torch; digits only are a date


class UnreachableError(ModelError):
    """Weights cannot be downloaded now, but a retry can succeed: the network or server failed, or the download is damaged."""


def pretrained_file(name: str) -> Path:
    """Return the local weight file of timm's ``architecture.tag``. A missing file is downloaded if the network is allowed.

    A cached file is used without looking for a newer one: the hash of the file is the identity of the model, so it must not
    change by itself. A downloaded file is verified with its checksum.

    Raises
    ------
    UnreachableError
        If the network or the server failed, or the download is damaged.
    ModelError
        If there is no such file and it cannot be downloaded. The message says how to get it.
    """
    config = timm_config(name)
    if config.get("hf_hub_id"):
        return _from_hub(name, config["hf_hub_id"], (config["hf_hub_filename"],) if "hf_hub_filename" in config else FILES)
    if config.get("url"):
        return _from_url(name, config["url"])
    raise ModelError(f"timm has no pre-trained weights for {name}; give your own as `checkpoint` in a zoo file.")


def verify(path: Path) -> None:
    """Verify a cached weight file with the checksum in its name, if there is one.

    The cache of the hub links to files named by their SHA-256. Names in the cache of torch end in its first digits. A file
    that is unchanged since the last check is not read again. A damaged file is deleted, unless HF_HUB_OFFLINE is set.

    Raises
    ------
    UnreachableError
        If the file is damaged and can be downloaded again.
    ModelError
        If the file is damaged and downloads are not allowed, or it cannot be read or deleted.
    """
    target = path.readlink() if path.is_symlink() else None  # one link only: the target can be a link with another name
    match = _SHA256.fullmatch(target.name) if target else _HASH_IN_NAME.search(path.name)
    expected = match[1] if match else ""
    try:
        actual = cached_hash(path) if expected else ""
        if actual.startswith(expected):
            return
        problem = f"{path}: is damaged: its SHA-256 is {actual}, but its name says {expected}"
        if huggingface_hub.constants.HF_HUB_OFFLINE:
            raise ModelError(f"{problem}; it is not downloaded again, because HF_HUB_OFFLINE is set.")
        if target:
            (path.parent / target).unlink()
        path.unlink()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read or deleted ({error.strerror}).") from error
    raise UnreachableError(f"{problem}; it was deleted and must be downloaded again.")


def prefetch(models: Iterable[ModelRef], zoo: ZooParams) -> tuple[tuple[ModelRef, ...], tuple[Failure, ...]]:
    """Return the models whose weights are available after downloading timm weights, and a failure per other model.

    Called before workers start, so that each file is downloaded once.
    A cached file is verified with its checksum unless it is unchanged, and downloaded again if damaged. Network errors, server
    errors and damaged downloads are retried in rounds: each round tries all remaining files. `zoo` sets the number of rounds
    and the waits. Other errors are not retried.
    """
    models = tuple(models)
    errors = _download(dict.fromkeys(name for model in models if (name := _timm_weights(model))), zoo)
    available = tuple(model for model in models if _timm_weights(model) not in errors)
    reasons = ((model.name, errors[name]) for model in models if (name := _timm_weights(model)) in errors)
    return available, tuple(Failure("", name, "prefetch", reason) for name, reason in reasons)


def _timm_weights(model: ModelRef) -> str:
    """Return the timm name of the model's weights, or "" for a model with its own weights."""
    return model.architecture or "" if model.pretrained and model.checkpoint is None else ""


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
        names.setdefault(hide_secrets(_short_message(cause) if cause else str(error)), []).append(name)
    return "; ".join(f"{', '.join(own)} ({cause})" for cause, own in names.items())


def _download_one(name: str) -> Exception | None:
    """Download and verify one weight file. Return the error, or None."""
    try:
        verify(pretrained_file(name))
    except Exception as error:  # one failure must not stop the other downloads
        return error
    return None


def _from_hub(name: str, hub_id: str, files: tuple[str, ...]) -> Path:
    repository, _, revision = hub_id.partition("@")
    offline = huggingface_hub.constants.HF_HUB_OFFLINE
    reason = Exception()
    for local in (True,) if offline else (True, False):
        for file in files:
            try:
                return _hub_file(repository, file, revision or None, local)
            except UnreachableError:
                raise
            except EntryNotFoundError as error:
                reason = error
                if not local and isinstance(error, LocalEntryNotFoundError):  # the hub's error for a failed network
                    break
            except Exception as error:  # no network, no repository, no access, no space
                reason = error
                break
    why = "HF_HUB_OFFLINE is set" if offline else _short_message(reason)
    cache = huggingface_hub.constants.HF_HUB_CACHE
    raise _error_type(reason)(
        f"{name}: no {' or '.join(files)} of {repository} in the Hugging Face cache ({cache}), and it cannot be downloaded "
        f"({why}). {_remedy(name, f'`hf download {repository}`')}"
    ) from reason


def _hub_file(repository: str, file: str, revision: str | None, local: bool) -> Path:
    if local:
        return Path(huggingface_hub.hf_hub_download(repository, file, revision=revision, local_files_only=True))
    # metadata first: for the file, huggingface_hub retries a dead server for minutes
    address = huggingface_hub.hf_hub_url(repository, file, revision=revision)
    get_hf_file_metadata(address, timeout=huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT)
    path = Path(huggingface_hub.hf_hub_download(repository, file, revision=revision))
    verify(path)
    return path


def _from_url(name: str, url: str) -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.is_file():
        return path

    def fetch(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            http_get(url, stream, displayed_filename=path.name)

    why, error_type, reason = "HF_HUB_OFFLINE is set", ModelError, None
    if not huggingface_hub.constants.HF_HUB_OFFLINE:
        try:
            write_atomically(path, fetch)
        except Exception as error:
            why, error_type, reason = _short_message(error), _error_type(error), error
        else:
            verify(path)
            return path
    raise error_type(
        f"{name}: {path} is missing and {url} cannot be downloaded ({why}). {_remedy(name, f'download {url}', 'TORCH_HOME')}"
    ) from reason


def _error_type(error: BaseException) -> type[ModelError]:
    """Return `UnreachableError` for an error that a retry can solve, else `ModelError`."""
    error = _cause(error)
    if isinstance(error, HfHubHTTPError):
        retry = error.response.status_code in RETRY_STATUSES or error.response.status_code >= 500
    elif isinstance(error, (OfflineModeIsEnabled, FileMetadataError, FileNotFoundError)):
        retry = False
    else:  # the hub raises an OSError without a number for an incomplete download
        incomplete = isinstance(error, OSError) and error.errno is None
        retry = incomplete or isinstance(error, (CLIENT_ERROR, ConnectionError, TimeoutError))
    return UnreachableError if retry else ModelError


def _remedy(name: str, download: str, home: str = "HF_HOME") -> str:
    return (
        f"On a machine with network run {download}, then copy its cache folder to this machine ({home} sets its place), or "
        f"name the file in a zoo file: {{architecture: {name}, pretrained: true, checkpoint: FILE}}. HF_HUB_OFFLINE=1 avoids "
        "the wait."
    )


def _cause(error: BaseException) -> BaseException:
    """Return the cause of a generic error."""
    while isinstance(error, (LocalEntryNotFoundError, StoreError)) and error.__cause__:
        error = error.__cause__
    return error


def _short_message(error: BaseException) -> str:
    cause = _cause(error)
    return f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0][:200]}"
