"""Read the cells of a CSV file as spreadsheets and other programs write it: any usual encoding, separator and line end."""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from itm.core.errors import DataError
from itm.core.labels import clean

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "blanks"}
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is its beginning
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OTHERS = {
    b"PK\x03\x04": "an Excel workbook or a zip archive; save it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as CSV",
    b"PAR1": "a Parquet file; write parquet: instead of csv:",
    b"ARROW1": "an Arrow file; save it as CSV or Parquet",
    b"SQLite format": "a database; export the table as CSV",
    b"%PDF": "a PDF document; save the table as CSV",
    b"{": "JSON; write its rows as CSV or Parquet",
    b"[": "JSON; write its rows as CSV or Parquet",
}
_LETTERS = re.compile(rb"[\xc3-\xf4][\x80-\xbf]+")  # in UTF-8; in cp1252 such pairs are rare
FEW_LETTERS = 2
_DIRECTIVE = re.compile(r"sep=(.)\r?[\n\r]")  # the line that names the separator for Excel


@dataclass(frozen=True)
class Cells:
    """The cells of a table. `lines` has the line of the file in which each row ends."""

    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    separator: str
    notes: list[str]
    warnings: list[str]


def read_cells(path: Path, is_header: Callable[[Sequence[str]], bool]) -> Cells:
    """Read all cells as text. The separator is the one with which the first line `is_header`.

    Raises
    ------
    DataError
        If the file is no text, or a quotation mark is not closed.
    """
    text, encoding = decode(path, path.read_bytes())
    notes = [] if encoding.startswith(("utf-8", "cp")) else [f"{path}: is not UTF-8; read as {encoding}"]
    guess = f"{path}: is not UTF-8; read as {encoding} (Windows). If names of classes look wrong, save it as UTF-8"
    warnings = [guess] if encoding.startswith("cp") else []
    directive = _DIRECTIVE.match(text)
    text = text[directive.end() :] if directive else text
    separator = directive[1] if directive else _separator(path, text, is_header)
    if separator != ",":
        notes.append(f"{path}: the columns are separated by {SEPARATORS.get(separator, repr(separator))}")
    rows = list(_rows(path, text, separator))
    if not rows:
        raise DataError(f"{path}: is empty; write a first line with the names of the columns, such as path,label.")
    shift = 1 if directive else 0
    header = [clean(cell) for cell in rows[0][1]]
    numbers = [line + shift for line, _ in rows[1:]]
    return Cells(header, [row for _, row in rows[1:]], numbers, separator, notes, warnings)


def _rows(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the last line and the cells of each row that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 0
    try:
        for row in reader:
            line = reader.line_num
            if any(cell.strip() for cell in row):
                yield line, row
    except csv.Error:
        raise DataError(
            f"{path}: the quotation marks of the row that begins in line {line + 1} do not match; write a cell that holds a "
            'quotation mark as "a ""quoted"" word".'
        ) from None


def _separator(path: Path, text: str, is_header: Callable[[Sequence[str]], bool]) -> str:
    headers: dict[str, list[str]] = {}
    for separator in SEPARATORS:
        try:
            headers[separator] = [clean(cell) for cell in next(_rows(path, text, separator), (0, []))[1]]
        except DataError:
            continue
    fitting = [separator for separator, header in headers.items() if is_header(header)]
    return fitting[0] if fitting else max(headers, key=lambda one: (one != " ", len(headers[one])), default=",")


def decode(path: Path, content: bytes) -> tuple[str, str]:
    """Return the text of a file and its encoding.

    Raises
    ------
    DataError
        If it is no text.
    """
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: its compression by gzip is damaged ({error}); unpack it or write it again.") from error
    if other := next((name for mark, name in _OTHERS.items() if content.startswith(mark)), ""):
        raise DataError(f"{path}: is {other}.")
    marked = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), None)
    if marked is None and b"\0" in content[:2]:
        marked = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    for encoding in [marked] if marked else ["utf-8", "cp1252"]:
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError as error:
            if encoding == "utf-8" and len(_LETTERS.findall(content)) > FEW_LETTERS:  # UTF-8 except for a few bytes
                line = content.count(b"\n", 0, error.start) + 1
                raise DataError(f"{path}: line {line} cannot be read as UTF-8; save the file as UTF-8.") from None
    raise DataError(f"{path}: is neither UTF-8 nor {marked or 'cp1252'}; save it as UTF-8.")
