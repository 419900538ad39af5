"""The names of numbered classes, from a file beside the images such as `classes.txt`."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from itm.core.errors import DataError, cause
from itm.core.labels import clean
from itm.data.local_files import is_file

FILES = ("classes.txt", "classnames.txt", "class_names.txt", "labels.txt", "synset_words.txt")
_FIRST, _LAST = re.compile(r"(\d+)[\s,:]+(.+)"), re.compile(r"(.+?)[\s,:]+(\d+)")
_SYNSET = re.compile(r"n\d{8}\s+(.+)")


@dataclass(frozen=True)
class ClassNames:
    """The name of each class by its number. `file` is where they are from."""

    file: Path
    names: dict[int, str]

    def name(self, labels: Sequence[str]) -> tuple[list[str], str]:
        """Return the labels with names instead of numbers, and a note on what was done.

        The labels stay as they are if they are no numbers, or a number has no name: then the file is of something else.
        """
        used = {label for label in labels if label}
        if not used or not all(label.isdecimal() for label in used):
            return list(labels), ""
        numbers = {int(label) for label in used}
        first = min(self.names)
        shift = 1 if first == 0 and 0 not in numbers and max(numbers) == len(self.names) else 0
        if missing := sorted(number for number in numbers if number - shift not in self.names):
            return list(labels), f"{self.file}: has {len(self.names)} names, and none for the label {missing[0]}; not used"
        start = ", which count from 1" if shift else ""
        note = f"{self.file}: has the names of the numbered classes{start}"
        return [self.names[int(label) - shift] if label else label for label in labels], note


def find_class_names(folders: Iterable[Path], others: Collection[Path] = ()) -> ClassNames | None:
    """Return the names in the first file with a usual name that is none of the `others`, or None if there is none.

    Raises
    ------
    DataError
        If the file cannot be read, or two classes have the same name.
    """
    paths = (folder / name for folder in folders for name in FILES)
    file = next((path for path in paths if path not in others and is_file(path)), None)
    return None if file is None else _read(file)


def _read(file: Path) -> ClassNames:
    try:
        lines = [clean(line) for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: the names of the classes cannot be read ({cause(error)}); save it as UTF-8.") from error
    while lines and not lines[-1]:
        lines.pop()
    names = _numbered(lines) or dict(enumerate(_without_synsets(lines)))
    if not names or not all(names.values()) or len(set(names.values())) < len(names):
        problem = "is empty" if not names else "has an empty line" if not all(names.values()) else "has a name twice"
        raise DataError(f"{file}: {problem}; write one line with a name of its own for each class, or rename the file.")
    return ClassNames(file, names)


def _numbered(lines: list[str]) -> dict[int, str]:
    """Return the names of lines such as `0 cat` or `cat 0`, or nothing if the numbers are part of the names: `Boeing 737`.

    Numbers are those of classes if they count the lines from 0 or 1 and the names differ without them.
    """
    counted_from_0, counted_from_1 = [*range(len(lines))], [*range(1, len(lines) + 1)]
    for pattern, number, name in ((_FIRST, 1, 2), (_LAST, 2, 1)):
        matches = [pattern.fullmatch(line) for line in lines]
        found = {int(match[number]): match[name] for match in matches if match}
        if len(found) == len(lines) == len(set(found.values())) and sorted(found) in (counted_from_0, counted_from_1):
            return found
    return {}


def _without_synsets(lines: list[str]) -> list[str]:
    """Return the words of lines such as `n01440764 tench, Tinca tinca`, unless two synsets have the same words."""
    words = [match[1] if (match := _SYNSET.fullmatch(line)) else line for line in lines]
    return words if len(set(words)) == len(words) else lines
