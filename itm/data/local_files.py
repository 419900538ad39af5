"""Paths that a user or an index gives: any text is a valid question, and a path that no system accepts is no file."""

import os
from pathlib import Path

PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2", ".avif", ".tga")


def expand(text: str) -> Path:
    """Return a path with `~` replaced by the home of the user, if there is one."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_file(path: str | Path) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a name that is too long, or a zero byte
        return False


def is_folder(path: str | Path) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def is_picture(name: str) -> bool:
    """Return whether a file has a name of an image."""
    return name.lower().endswith(PICTURES)


def is_utf8(path: str) -> bool:
    """Return whether a path can be stored as text: a file system or an archive can give other bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(path: str) -> str:
    """Return a path in which bytes that are not UTF-8 are written as numbers."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
