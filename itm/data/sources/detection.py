"""Recognise annotations of detection, which are refused: boxes of COCO, text files of YOLO, and XML files of Pascal VOC."""

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from itm.core.errors import DataError
from itm.data.local_files import is_file, is_folder
from itm.data.rows import read_split
from itm.data.sources.class_names import FILES

HEAD = 2**16  # bytes from each end of a file, which say what it is
FEW = 5  # files per folder and suffix that are looked at
_FOLDERS = {"annotations", "annotation", "labels", "label", "images", "xml", "xmls", "voc2007", "voc2012", "vocdevkit"}
_COCO = (b'"images"', b'"bbox"', b'"category_id"')
_BOX = re.compile(r"\d+(?:\s+(?:[01](?:\.\d*)?|0?\.\d+)(?:[eE]-?\d+)?){4}")


def refuse_detection(place: Path) -> None:
    """Raise a `DataError` if a file, or files in a folder, are annotations of detection."""
    if found := _find(place):
        raise DataError(
            f"{place}: {found} are annotations of detection, whose models are not ranked; to rank models for these objects, "
            "crop the boxes into one folder per class and write folder:PATH."
        )


def _find(place: Path) -> str:
    """Return what was found, in words, or nothing."""
    files = [place] if is_file(place) else [path for folder in _folders(place, 2) for path in _files(folder)]
    for path in files:
        ends = _ends(path)
        if path.suffix == ".json" and all(mark in ends for mark in _COCO):
            return "boxes of COCO"
        if path.suffix == ".xml" and b"<bndbox>" in ends:
            return "XML files of Pascal VOC"
        lines = [line.strip() for line in ends.decode(errors="replace").splitlines() if line.strip()]
        if path.suffix == ".txt" and path.name not in FILES and lines and all(map(_BOX.fullmatch, lines)):
            return "text files of YOLO"
    return ""


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    """Yield a folder, and those below it that have names of splits or usual names of folders of annotations."""
    yield folder
    try:
        inside = sorted(path for path in folder.iterdir() if path.name.casefold() in _FOLDERS or read_split(path.name))
    except OSError:  # listing it says why
        return
    for path in inside if depth else ():
        if is_folder(path):
            yield from _folders(path, depth - 1)


def _files(folder: Path) -> Iterator[Path]:
    """Yield a few files of each kind that can have annotations."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  (folders can have very many files)
    except OSError:
        return
    for suffix in (".json", ".xml", ".txt"):
        yield from islice((folder / name for name in names if name.endswith(suffix)), FEW)


def _ends(path: Path) -> bytes:
    """Return the first and the last bytes of a file, or nothing if it cannot be read."""
    try:
        with path.open("rb") as stream:
            head, size = stream.read(HEAD), stream.seek(0, 2)
            stream.seek(max(len(head), size - HEAD))
            return head + stream.read()
    except OSError:
        return b""
