"""The source `list:PATH`: lines of a path and a label, as `train.txt` and `val.txt` of ImageNet have them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from itm.core.errors import DataError
from itm.core.types import SplitName
from itm.data.local_files import expand, is_file, is_picture
from itm.data.rows import read_split
from itm.data.sources.base import OptionValue, register_source
from itm.data.sources.class_names import find_class_names
from itm.data.sources.csv_text import decode
from itm.data.sources.index_columns import Columns
from itm.data.sources.table import IndexFile


@dataclass(frozen=True)
class _Line:
    path: str
    label: str
    number: int


@register_source
@dataclass(frozen=True)
class ListFile(IndexFile):
    """A list of images without a header. The lists `val` and `test` beside a list named `train` are read with it."""

    scheme: ClassVar[str] = "list"
    usage: ClassVar[str] = "list:PATH?root=FOLDER"
    options: ClassVar[Mapping[str, type[OptionValue]]] = {"root": str}

    @property
    def default_name(self) -> str:
        return (self.file.absolute().parent.name if read_split(self.file.stem) else self.file.stem) or self.scheme

    @property
    def list_files(self) -> Collection[str]:
        names = find_class_names([self.file.parent], self._files)
        return [path.as_posix() for path in (*self._files, *([names.file] if names else []))]

    @property
    def _files(self) -> list[Path]:
        return [*self._splits] or [self.file]

    @property
    def _splits(self) -> dict[Path, SplitName]:
        """Return the lists by split if there are several, with the list that is named first."""
        if read_split(self.file.stem) != "train":
            return {}
        beside = sorted(path for path in self.file.parent.glob(f"*{self.file.suffix}") if is_file(path))
        found: dict[Path, SplitName] = {self.file: "train"}
        for path in beside:
            split = read_split(path.stem)
            if split in ("val", "test"):
                if split in found.values():
                    other = next(known.name for known, name in found.items() if name == split)
                    raise DataError(f"{self.file}: both {other} and {path.name} beside it are lists of {split}; rename one.")
                found[path] = split
        return found if len(found) > 1 else {}

    def _read(self) -> Columns:
        self._check_file()
        splits, notes, warnings = self._splits, list[str](), list[str]()
        lines: list[_Line] = []
        names: list[str] = []
        for path in self._files:
            found, notes_of_file = self._lines(path)
            if path != self.file and not any(line.label for line in found):
                warnings.append(f"{path}: ignored, since its lines have no labels")
                continue
            notes += notes_of_file
            lines += found
            names += [splits.get(path, "")] * len(found)
        labels = [line.label for line in lines]
        if class_names := find_class_names([self.file.parent], self._files):
            labels, note = class_names.name(labels)
            notes += [note] * bool(note)
        values = {"path": [line.path for line in lines], "target": labels}
        if any(names):
            values["split"] = names
        return Columns(values, tuple(notes), tuple(warnings), [line.number for line in lines])

    def _lines(self, path: Path) -> tuple[list[_Line], list[str]]:
        """Return the lines of a list that are not blank, and notes."""
        try:
            text, encoding = decode(path, path.read_bytes())
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error}); allow reading it.") from error
        notes = [] if encoding.startswith("utf-8") else [f"{path}: is not UTF-8; read as {encoding}"]
        found = [_Line(*_divided(line), number) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if not any(line.label for line in found) and any("," in line.path for line in found):
            raise DataError(
                f"{path}: no line ends with a label after a blank; if commas separate, add a first line path,label "
                f"and write csv:{path}."
            )
        base = expand(self.root) if self.root else self.file.parent
        if found and not is_file(base / found[0].path) and is_file(base / path.stem / found[0].path):
            notes.append(f"{path}: the paths are read below {path.stem}")
            found = [_Line(f"{path.stem}/{line.path}", line.label, line.number) for line in found]
        return found, notes


def _divided(line: str) -> tuple[str, str]:
    r"""Return the path and the label of a line. Paths may hold blanks; labels only after a tab.

    >>> [_divided(line) for line in ("a b.png 3", "a b.png\tsea lion", "a b.png")]
    [('a b.png', '3'), ('a b.png', 'sea lion'), ('a b.png', '')]
    """
    path, mark, label = line.rpartition("\t") if "\t" in line.strip() else _last_blank(line.strip())
    if not mark or is_picture(label.strip()):
        path, label = line, ""
    return path.strip().strip('"'), label.strip()


def _last_blank(line: str) -> tuple[str, str, str]:
    parts = line.rsplit(None, 1)
    return (parts[0], " ", parts[1]) if len(parts) > 1 else ("", "", line)
