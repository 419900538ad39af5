"""Where timm's own weights lie: in the local cache if possible, from the network if allowed."""

import re
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
from itm.store.files import write_beside
from itm.store.hash_cache import known_hash
from itm.zoo.timm_names import timm_config

FILES = ("model.safetensors", "pytorch_model.bin")
BUSY = {408, 425, 429}  # HTTP statuses that ask to come again; those from 500 on are the server's own trouble
CLIENT_ERROR = HfHubHTTPError.__bases__[0]  # of the HTTP client that this version of the hub's package uses
_SHA256 = re.compile(r"([0-9a-f]{64})")
_IN_NAME = re.compile(r"-(?!\d+\.)([0-9a-f]{8,64})\.")  # torch's custom; digits alone are a date


class UnreachedError(ModelError):
    """Weights cannot be had now, but perhaps later: the network or the server failed, or bytes were lost on the way."""


def pretrained_file(name: str) -> Path:
    """Return the local weight file of timm's ``architecture.tag``, downloading it if it is missing and that is allowed.

    What the cache holds is taken as it is, without asking the network whether there is something newer: the hash of the file
    is the identity of a model, so it should not change by itself. What comes from the network is compared with its checksum.

    Raises
    ------
    UnreachedError
        If the network or the server failed, or sent other bytes than it promised.
    ModelError
        If there is no such file and it cannot be fetched; the message says how to bring it.
    """
    config = timm_config(name)
    if config.get("hf_hub_id"):
        return _from_hub(name, config["hf_hub_id"], (config["hf_hub_filename"],) if "hf_hub_filename" in config else FILES)
    if config.get("url"):
        return _from_url(name, config["url"])
    raise ModelError(f"timm has no pre-trained weights for {name}; give your own as `checkpoint` in a zoo file.")


def verify(path: Path) -> None:
    """Compare a cached weight file with the checksum in its name; where there is none, there is nothing to compare.

    A file that looks unchanged since it was last compared is not read again. The hub's cache links to files named by their
    SHA-256, torch's names end in its first digits. What differs is removed, unless HF_HUB_OFFLINE is set.

    Raises
    ------
    UnreachedError
        If it differs and may be fetched again.
    ModelError
        If it differs and may not be fetched, or cannot be read or removed.
    """
    linked = path.readlink() if path.is_symlink() else None  # one step: the next may lead to a store with names of its own
    named = _SHA256.fullmatch(linked.name) if linked else _IN_NAME.search(path.name)
    promised = named[1] if named else ""
    try:
        found = known_hash(path) if promised else ""
        if found.startswith(promised):
            return
        told = f"{path}: is damaged: its SHA-256 is {found}, and its name says {promised}"
        if huggingface_hub.constants.HF_HUB_OFFLINE:
            raise ModelError(f"{told}; it is not fetched again, since HF_HUB_OFFLINE is set.")
        if linked:
            (path.parent / linked).unlink()
        path.unlink()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read or removed ({error.strerror}).") from error
    raise UnreachedError(f"{told}; it was removed, and has to be fetched again.")


def _from_hub(name: str, hub_id: str, files: tuple[str, ...]) -> Path:
    repository, _, revision = hub_id.partition("@")
    offline = huggingface_hub.constants.HF_HUB_OFFLINE
    reason = Exception()
    for local in (True,) if offline else (True, False):
        for file in files:
            try:
                return _cached(repository, file, revision or None) if local else _fetched(repository, file, revision or None)
            except UnreachedError:
                raise
            except EntryNotFoundError as error:
                reason = error
                if not local and isinstance(error, LocalEntryNotFoundError):  # the hub's word for a network that just failed
                    break
            except Exception as error:  # no network, repository, access, space: whatever it is, this model has no file
                reason = error
                break
    tried = "HF_HUB_OFFLINE is set" if offline else _short(reason)
    cache = huggingface_hub.constants.HF_HUB_CACHE
    raise _kind(reason)(
        f"{name}: no {' or '.join(files)} of {repository} in the Hugging Face cache ({cache}), and it cannot be downloaded "
        f"({tried}). {_remedy(name, f'`hf download {repository}`')}"
    )


def _cached(repository: str, file: str, revision: str | None) -> Path:
    return Path(huggingface_hub.hf_hub_download(repository, file, revision=revision, local_files_only=True))


def _fetched(repository: str, file: str, revision: str | None) -> Path:
    """Download a file, asking first whether there is one: the hub's own package would try a dead server for minutes."""
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

    tried, kind = "HF_HUB_OFFLINE is set", ModelError
    if not huggingface_hub.constants.HF_HUB_OFFLINE:
        try:
            write_beside(path, fetch)
        except Exception as error:
            tried, kind = _short(error), _kind(error)
        else:
            verify(path)
            return path
    raise kind(
        f"{name}: {path} is missing and {url} cannot be downloaded ({tried}). {_remedy(name, f'fetch {url}', 'TORCH_HOME')}"
    )


def _kind(error: BaseException) -> type[ModelError]:
    """Return which error to raise: one that says to try again where that may help."""
    error = _origin(error)
    if isinstance(error, HfHubHTTPError):
        again = error.response.status_code in BUSY or error.response.status_code >= 500
    elif isinstance(error, (OfflineModeIsEnabled, FileMetadataError, FileNotFoundError)):
        again = False
    else:  # an OSError without a number is the hub's word for a file that came in part
        lost = isinstance(error, OSError) and error.errno is None
        again = lost or isinstance(error, (CLIENT_ERROR, ConnectionError, TimeoutError))
    return UnreachedError if again else ModelError


def _remedy(name: str, fetch: str, home: str = "HF_HOME") -> str:
    return (
        f"On a machine with network run {fetch}, then copy its cache folder here ({home} says where), or name the file in a "
        f"zoo file: {{architecture: {name}, pretrained: true, checkpoint: FILE}}. HF_HUB_OFFLINE=1 says so without waiting."
    )


def _origin(error: BaseException) -> BaseException:
    """Return what went wrong beneath an error that only says that something did."""
    while isinstance(error, (LocalEntryNotFoundError, StoreError)) and error.__cause__:
        error = error.__cause__
    return error


def _short(error: BaseException) -> str:
    told = _origin(error)
    return f"{type(told).__name__}: {str(told).strip().partition(chr(10))[0][:200]}"
