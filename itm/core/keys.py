"""Content keys, and names that are safe in paths, URLs and MLflow."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

_SAFE = re.compile(r"[A-Za-z0-9_.-]")
_ESCAPE = re.compile(r"~([0-9a-f]*)~")


def content_key(facts: Any) -> str:
    """Return the SHA-256 of `facts` written as canonical JSON, as 64 hexadecimal digits.

    Raises
    ------
    TypeError
        If `facts` holds anything that JSON does not know, since its text could change between runs.
    """
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in pieces, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def slug(name: str) -> str:
    """Write any name with letters, digits and ``_ . - ~`` only; `from_slug` turns it back.

    Other characters become ``~hex~`` of their code point, and a leading dot too, so that no slug hides or leaves its folder;
    no name at all is ``~~``.
    """
    text = "".join(c if _SAFE.fullmatch(c) else f"~{ord(c):x}~" for c in name) or "~~"
    return f"~2e~{text[1:]}" if text.startswith(".") else text


def from_slug(text: str) -> str:
    """Return the name that `slug` wrote."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else "", text)


def metric_name(name: str) -> str:
    """Write a score's name as an MLflow metric: those refuse most signs, so anything unusual becomes a hyphen."""
    return re.sub(r"[^A-Za-z0-9_./ -]", "-", name)


def registered_name(name: str) -> str:
    """Write a name as an MLflow registered model, which also refuses ``. : /``; a hash keeps names apart that become alike."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    return plain if plain == name else f"{plain}-{content_key(name)[:8]}"
