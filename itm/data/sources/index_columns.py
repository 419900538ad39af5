"""Read the columns of an index, from a CSV or a Parquet file, as text."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import polars as pl

from itm.core.errors import DataError, ParamsError, did_you_mean
from itm.core.labels import clean, is_missing
from itm.core.text import join_names
from itm.data.local_files import is_picture
from itm.data.sources.base import OptionValue
from itm.data.sources.csv_text import Cells, read_cells
from itm.data.sources.target_columns import ROLE, is_list, list_texts, with_targets
from itm.kinds import get_kind

MOST_COLUMNS, LONGEST_NAME = 12, 40  # in a message
_USUAL = {  # names that other tools give these columns
    "path": ("file", "file_name", "file_path", "filename", "filepath", "image", "image_file", "image_path", "img", "img_path"),
    "target": ("category", "class", "class_name", "label", "labels", "label_name", "species", "target", "y"),
}
_NUMBER = re.compile(r"[+-]?\d+(?:,\d+)?(?:[eE][+-]?\d+)?")


def text_options(source: str, options: Mapping[str, OptionValue]) -> dict[str, str]:
    """Return the options of a source as text. `task` is a known task kind, if it is among them.

    Raises
    ------
    DataError
        If there is no such task kind.
    """
    given = {name: str(value) for name, value in options.items()}
    try:
        get_kind(given.get("task", "classification"))
    except ParamsError as error:
        raise DataError(f"{source}: {error}") from None
    return given


@dataclass(frozen=True)
class Columns:
    """The columns of an index by role, such as "path"; a missing cell is an empty text.

    `targets` has the columns of the target by name, of which there can be several.
    `lines` has the line of each row in a text file. `uneven` has the number of cells of each row that has too many.
    """

    values: Mapping[str, list[str]]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lines: Sequence[int] = ()
    uneven: Mapping[int, int] = field(default_factory=dict)
    width: int = 0
    targets: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """The names of the columns by role, and which of them must exist. With `lists`, the target can hold lists of labels."""

    names: Mapping[str, str]
    needed: tuple[str, ...]
    lists: bool = False

    def among(self, header: Sequence[str]) -> "Wanted":
        """Return the wanted columns of a header in which several can have the target."""
        names = with_targets(self.names, header)
        targets = [role for role in names if role not in self.names]
        needed = [own for role in self.needed for own in (targets if targets and role == ROLE else [role])]
        return replace(self, names=names, needed=tuple(needed))

    def find(self, file: Path, header: Sequence[str]) -> dict[str, int]:
        """Return the number of each column by role. Capitals count only if two columns differ in nothing else.

        Raises
        ------
        DataError
            If a column is missing or there twice.
        """
        found: dict[str, int] = {}
        for role, name in self.names.items():
            exact = [number for number, cell in enumerate(header) if cell == name]
            near = exact or [number for number, cell in enumerate(header) if cell.casefold() == name.casefold()]
            if len(near) > 1:
                raise DataError(f"{file}: {len(near)} columns are named {name!r}; rename all but one.")
            if near:
                found[role] = near[0]
        if missing := [self.names[role] for role in self.needed if role not in found]:
            raise self._missing_error(file, header, missing)
        return found

    def fits(self, header: Sequence[str]) -> bool:
        names, own = {cell.casefold() for cell in header}, self.among(header)
        return all(own.names[role].casefold() in names for role in own.needed)

    def _missing_error(self, file: Path, header: Sequence[str], missing: list[str]) -> DataError:
        if any(map(is_picture, header)):
            first = f"{','.join(self.names[role] for role in self.needed)}"
            return DataError(f"{file}: the first line is a row and no header; add a first line with the names: {first}.")
        cut = [cell if len(cell) <= LONGEST_NAME else f"{cell[:LONGEST_NAME]}..." for cell in header[:MOST_COLUMNS]]
        cut += ["..."] * (len(header) > MOST_COLUMNS)
        near = {role: name for role in self.needed if self.names[role] in missing and (name := _usual(role, header))}
        roles = list(dict.fromkeys(role.partition(" ")[0] for role in self.names))
        options = join_names([f"?{role}=COLUMN" for role in roles], len(roles))
        advice = f"Name other columns with {options}."
        if len(near) == len(missing):
            options = "&".join(f"{role}={quote(name)}" for role, name in near.items())
            advice = f"Write ?{options} if {'that is the column' if len(near) == 1 else 'those are the columns'}."
        return DataError(
            f"{file}: there is no column {' and no column '.join(map(repr, missing))}{did_you_mean(missing[0], header)} "
            f"Found: {', '.join(cut) or 'none'}; needed: "
            f"{', '.join(self.names[role] for role in self.needed)}. {advice}"
        )


def _usual(role: str, header: Sequence[str]) -> str:
    """Return the column with a usual name for a role, or nothing."""
    return next((cell for cell in header if cell.casefold().replace(" ", "_") in _USUAL.get(role, ())), "")


def read_csv_columns(file: Path, wanted: Wanted) -> Columns:
    """Read the columns of a CSV file."""
    cells = read_cells(file, wanted.fits)
    header = ["", *cells.header] if _has_row_names(cells) else cells.header
    wanted = wanted.among(header)
    found, width = wanted.find(file, header), len(header)
    values = {role: [row[number] if number < len(row) else "" for row in cells.rows] for role, number in found.items()}
    uneven = {number: len(row) for number, row in enumerate(cells.rows) if any(cell.strip() for cell in row[width:])}
    notes = [*cells.notes, *_renamed(file, wanted, found, header)]
    for role in _target_roles(found) if cells.separator != "," else ():
        if points := _with_points(values[role]):
            values[role] = points
            notes.append(f"{file}: decimal commas are read as points")
    targets = {header[found[role]]: values[role] for role in _target_roles(found)}
    return Columns(values, tuple(dict.fromkeys(notes)), tuple(cells.warnings), cells.lines, uneven, width, targets)


def read_parquet_columns(file: Path, wanted: Wanted) -> Columns:
    """Read the columns of a Parquet file; other columns, such as images, are not read."""
    try:
        schema = pl.read_parquet_schema(file)
        names = list(schema)
        wanted = wanted.among([clean(name) for name in names])
        found = wanted.find(file, [clean(name) for name in names])
        lists = {names[found[role]] for role in _target_roles(found) if wanted.lists and is_list(schema[names[found[role]]])}
        for number in found.values():
            if names[number] in lists:
                continue
            if schema[names[number]].is_nested() or schema[names[number]] in (pl.Binary, pl.Object):
                kind = schema[names[number]]
                raise DataError(f"{file}: the column {names[number]!r} has the type {kind}; it must hold text or numbers.")
        table = pl.read_parquet(file, columns=list(dict.fromkeys(names[number] for number in found.values())))
        texts = {
            name: list_texts(table[name]) if name in lists else table[name].cast(pl.String).fill_null("").to_list()
            for name in table.columns
        }
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = "is no Parquet file; write csv: for a text file" if _is_other(file) else f"is damaged ({_first_line(error)})"
        raise DataError(f"{file}: {reason}, or write the file again.") from error
    values = {role: texts[names[number]] for role, number in found.items()}
    targets = {names[found[role]]: values[role] for role in _target_roles(found)}
    return Columns(values, tuple(_renamed(file, wanted, found, names)), targets=targets)


def _target_roles(found: Mapping[str, int]) -> list[str]:
    return [role for role in found if role.partition(" ")[0] == ROLE]


def _has_row_names(cells: Cells) -> bool:
    """Return whether every row begins with a number that has no name in the first line, as R writes tables."""
    return bool(cells.rows) and all(len(row) == len(cells.header) + 1 and row[0].isdigit() for row in cells.rows)


def _with_points(texts: list[str]) -> list[str]:
    """Return numbers with decimal points, or nothing if none has a comma or some text is no number."""
    numbers = [text for text in texts if not is_missing(text)]
    if not any("," in text for text in numbers) or not all(_NUMBER.fullmatch(text.strip()) for text in numbers):
        return []
    return [text.replace(",", ".") for text in texts]


def _renamed(file: Path, wanted: Wanted, found: Mapping[str, int], header: Sequence[str]) -> Iterable[str]:
    """Yield a note for each column that has another name than it should."""
    for role, number in found.items():
        if header[number] != wanted.names[role]:
            yield f"{file}: the column {header[number]!r} is read as {wanted.names[role]!r}"


def _is_other(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) != b"PAR1"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
