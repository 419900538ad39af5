"""Whether weights are in the caches of the Hugging Face Hub and of torch. Nothing is downloaded, and torch is not imported."""

import os
from pathlib import Path

FILES = ("model.safetensors", "pytorch_model.bin")


def torch_hub_file(url: str) -> Path:
    """Return where torch keeps the file of a URL."""
    caches = os.getenv("XDG_CACHE_HOME", "~/.cache")
    home = Path(os.getenv("TORCH_HOME") or Path(caches) / "torch").expanduser()
    return home / "hub" / "checkpoints" / url.rpartition("/")[2]


def cached_file(repository: str | None, file: str | None, url: str | None) -> Path | None:
    """Return the cached weight file of a repository of the Hub or of a URL, or None."""
    if not repository:
        path = torch_hub_file(url) if url else None
        return path if path and path.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    name, _, revision = repository.partition("@")
    for candidate in (file,) if file else FILES:
        found = try_to_load_from_cache(name, candidate, revision=revision or None)
        if isinstance(found, str):
            return Path(found)
    return None
