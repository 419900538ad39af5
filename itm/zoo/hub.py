"""Where timm's own weights lie: in the local cache if possible, from the network if allowed."""

from pathlib import Path

import huggingface_hub
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from itm.errors import ModelError
from itm.zoo.timm_names import timm_config

FILES = ("model.safetensors", "pytorch_model.bin")


def pretrained_file(name: str) -> Path:
    """Return the local weight file of timm's ``architecture.tag``, downloading it if it is missing and that is allowed.

    What the cache holds is taken as it is, without asking the network whether there is something newer: the hash of the file
    is the identity of a model, so it should not change by itself.

    Raises
    ------
    ModelError
        If there is no such file and it cannot be fetched; the message says how to bring it.
    """
    config = timm_config(name)
    if config.get("hf_hub_id"):
        return _from_hub(name, config["hf_hub_id"], (config["hf_hub_filename"],) if "hf_hub_filename" in config else FILES)
    if config.get("url"):
        return _from_url(name, config["url"])
    raise ModelError(f"timm has no pre-trained weights for {name}; give your own as `checkpoint` in a zoo file.")


def _from_hub(name: str, hub_id: str, files: tuple[str, ...]) -> Path:
    repository, _, revision = hub_id.partition("@")
    offline = huggingface_hub.constants.HF_HUB_OFFLINE
    download, reason = huggingface_hub.hf_hub_download, Exception()
    for local in (True,) if offline else (True, False):
        for file in files:
            try:
                return Path(download(repository, file, revision=revision or None, local_files_only=local))
            except LocalEntryNotFoundError as error:
                reason = error
                if not local:  # the hub's word for a network that does not answer: the next file name will not do better
                    break
            except EntryNotFoundError as error:
                reason = error
            except Exception as error:  # no network, repository, access, space: whatever it is, this model has no file
                reason = error
                break
    tried = "HF_HUB_OFFLINE is set" if offline else _short(reason)
    cache = huggingface_hub.constants.HF_HUB_CACHE
    raise ModelError(
        f"{name}: no {' or '.join(files)} of {repository} in the Hugging Face cache ({cache}), and it cannot be downloaded "
        f"({tried}). {_remedy(name, f'`hf download {repository}`')}"
    )


def _from_url(name: str, url: str) -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.is_file():
        return path
    tried = "HF_HUB_OFFLINE is set"
    if not huggingface_hub.constants.HF_HUB_OFFLINE:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=False)
        except Exception as error:
            tried = _short(error)
        else:
            return path
    raise ModelError(
        f"{name}: {path} is missing and {url} cannot be downloaded ({tried}). {_remedy(name, f'fetch {url}', 'TORCH_HOME')}"
    )


def _remedy(name: str, fetch: str, home: str = "HF_HOME") -> str:
    return (
        f"On a machine with network run {fetch}, then copy its cache folder here ({home} says where), or name the file in a "
        f"zoo file: {{architecture: {name}, pretrained: true, checkpoint: FILE}}. HF_HUB_OFFLINE=1 says so without waiting."
    )


def _short(error: BaseException) -> str:
    told = error.__cause__ if isinstance(error, LocalEntryNotFoundError) and error.__cause__ else error
    return f"{type(told).__name__}: {str(told).strip().partition(chr(10))[0][:200]}"
