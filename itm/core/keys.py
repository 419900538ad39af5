"""Content keys, and names that are valid in paths, URLs and MLflow."""

import hashlib
import json
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

BLOCK = 4096  # items that are encoded at once
_SAFE = re.compile(r"[A-Za-z0-9_.-]")


def content_key(facts: Any) -> str:
    """Return the SHA-256 of `facts` as canonical JSON, in 64 hexadecimal digits.

    A type that JSON does not have is a TypeError: its text could change between runs.
    """
    return hashlib.sha256(_canonical(facts)).hexdigest()


def list_key(items: Iterable[Any]) -> str:
    """Return `content_key` of the list of `items`, which do not have to be in memory at the same time.

    >>> list_key(number for number in (1, 2)) == content_key([1, 2])
    True
    """
    rest, digest, separator = iter(items), hashlib.sha256(b"["), b""
    while block := list(islice(rest, BLOCK)):
        digest.update(separator + _canonical(block)[1:-1])
        separator = b","
    digest.update(b"]")
    return digest.hexdigest()


def _canonical(facts: Any) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True).encode()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, in 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def slug(name: str) -> str:
    """Return `name` written with letters, digits and ``_ . - ~`` only. Different names have different slugs.

    Any other character becomes ``~hex~``, its code point. So does a leading dot: a slug is never a hidden file or ``..``.
    The empty name becomes ``~~``.
    """
    text = "".join(c if _SAFE.fullmatch(c) else f"~{ord(c):x}~" for c in name) or "~~"
    return f"~2e~{text[1:]}" if text.startswith(".") else text


def metric_name(name: str) -> str:
    """Return the name of an MLflow metric for a score. Characters that MLflow does not allow become hyphens."""
    return re.sub(r"[^A-Za-z0-9_./ -]", "-", name)


def registered_name(name: str) -> str:
    """Return the name of an MLflow registered model.

    Characters that MLflow does not allow become hyphens, and long names are cut, because its database takes 256 characters. A
    changed name ends in a hash, so different names stay different.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", name)[:200]
    return plain if plain == name else f"{plain}-{content_key(name)[:8]}"
