"""Files of the Hugging Face Hub and of URLs, from their local caches or from the network if it is allowed."""

import re
from contextlib import suppress
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
)
from huggingface_hub.file_download import get_hf_file_metadata, http_get

from itm.core.errors import ModelError, StoreError
from itm.store.files import write_atomically
from itm.store.hash_cache import cached_hash
from itm.zoo.weight_cache import FILES, torch_hub_file

RETRY_STATUSES = {408, 425, 429}  # besides all from 500 on
CLIENT_ERROR = HfHubHTTPError.__bases__[0]  # error of the HTTP client that huggingface_hub uses
FOLDER_SCHEMES = {"hf-hub": "local-dir", "transformers": "transformers"}  # how a folder with the files of a repository is named
_SHA256 = re.compile(r"([0-9a-f]{64})")
_HASH_IN_NAME = re.compile(r"-(?!\d+\.)([0-9a-f]{8,64})\.")  # convention of torch; digits only are a date


class UnreachableError(ModelError):
    """Weights cannot be downloaded now, but a retry can succeed: the network or server failed, or the download is damaged."""


class NoSuchFileError(ModelError):
    """The repository has no such file."""


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


def hub_file(name: str, hub_id: str, files: tuple[str, ...] = FILES) -> Path:
    """Return the local path of the first of `files` that a repository ``USER/REPO`` or ``USER/REPO@REVISION`` of the Hub has.

    Raises
    ------
    NoSuchFileError
        If the repository has none of the files.
    UnreachableError
        If the network or the server failed, or the download is damaged.
    ModelError
        If it cannot be downloaded for another reason. The message says how to get it.
    """
    repository, _, revision = hub_id.partition("@")
    offline = huggingface_hub.constants.HF_HUB_OFFLINE
    reason = Exception()
    for local in (True,) if offline else (True, False):
        for file in files:
            try:
                return _fetched(repository, file, revision or None, local)
            except UnreachableError:
                raise
            except EntryNotFoundError as error:
                reason = error
                if not local and isinstance(error, LocalEntryNotFoundError):  # the hub's error for a failed network
                    break
            except Exception as error:  # no network, no repository, no access, no space
                reason = error
                break
    why = "HF_HUB_OFFLINE is set" if offline else short_message(reason)
    cache = huggingface_hub.constants.HF_HUB_CACHE
    raise _error_type(reason)(
        f"{name}: no {' or '.join(files)} of {repository} in the Hugging Face cache ({cache}), and it cannot be downloaded "
        f"({why}). {_remedy(name, f'`hf download {repository}`')}"
    ) from reason


def optional_hub_file(name: str, hub_id: str, files: tuple[str, ...]) -> Path | None:
    """Return the local path of the first of `files` that a repository has, or None if it has none of them.

    The cache of the Hub also stores that a file does not exist. Without an answer in the cache, the Hub is asked.

    Raises
    ------
    ModelError
        If the Hub cannot be asked, or the download fails.
    """
    repository, _, revision = hub_id.partition("@")
    for file in files:
        cached = huggingface_hub.try_to_load_from_cache(repository, file, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
        if cached is None:
            with suppress(NoSuchFileError):
                return hub_file(name, hub_id, (file,))
    return None


def _fetched(repository: str, file: str, revision: str | None, local: bool) -> Path:
    if local:
        return Path(huggingface_hub.hf_hub_download(repository, file, revision=revision, local_files_only=True))
    # metadata first: for the file, huggingface_hub retries a dead server for minutes
    address = huggingface_hub.hf_hub_url(repository, file, revision=revision)
    with suppress(RemoteEntryNotFoundError):  # the next call raises it again and caches it
        get_hf_file_metadata(address, timeout=huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT)
    path = Path(huggingface_hub.hf_hub_download(repository, file, revision=revision))
    verify(path)
    return path


def url_file(name: str, url: str) -> Path:
    """Return the local path of the file of a URL in torch's cache. A missing file is downloaded if the network is allowed.

    Raises
    ------
    UnreachableError
        If the network or the server failed, or the download is damaged.
    ModelError
        If it cannot be downloaded. The message says how to get it.
    """
    path = torch_hub_file(url)
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
            why, error_type, reason = short_message(error), _error_type(error), error
        else:
            verify(path)
            return path
    raise error_type(
        f"{name}: {path} is missing and {url} cannot be downloaded ({why}). {_remedy(name, f'download {url}', 'TORCH_HOME')}"
    ) from reason


def _error_type(error: BaseException) -> type[ModelError]:
    """Return `UnreachableError` for an error that a retry can solve, else `NoSuchFileError` or `ModelError`."""
    error = _cause(error)
    if isinstance(error, RemoteEntryNotFoundError):
        return NoSuchFileError
    if isinstance(error, HfHubHTTPError):
        retry = error.response.status_code in RETRY_STATUSES or error.response.status_code >= 500
    elif isinstance(error, (OfflineModeIsEnabled, FileMetadataError, FileNotFoundError)):
        retry = False
    else:  # the hub raises an OSError without a number for an incomplete download
        incomplete = isinstance(error, OSError) and error.errno is None
        retry = incomplete or isinstance(error, (CLIENT_ERROR, ConnectionError, TimeoutError))
    return UnreachableError if retry else ModelError


def _remedy(name: str, download: str, home: str = "HF_HOME") -> str:
    other = f"name the file in a zoo file: {{architecture: {name}, pretrained: true, checkpoint: FILE}}"
    if scheme := FOLDER_SCHEMES.get(name.partition(":")[0]):
        other = f"copy its files to a folder and name the model {scheme}:FOLDER"
    return (
        f"On a machine with network run {download}, then copy its cache folder to this machine ({home} sets its place), or "
        f"{other}. HF_HUB_OFFLINE=1 avoids the wait."
    )


def _cause(error: BaseException) -> BaseException:
    """Return the cause of a generic error."""
    while isinstance(error, (LocalEntryNotFoundError, StoreError)) and error.__cause__:
        error = error.__cause__
    return error


def short_message(error: BaseException) -> str:
    cause = _cause(error)
    return f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0][:200]}"
