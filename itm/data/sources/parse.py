"""The words for a data set, `[NAME=]KIND:PLACE[?OPTIONS]`, read into a record before anything is looked at."""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

from itm.core.errors import DataError, did_you_mean
from itm.data.sources.drawing import MadeSet

Kind = Literal["folder", "csv", "parquet", "digits", "made"]
KINDS: dict[Kind, str] = {
    "folder": "folder:PATH",
    "csv": "csv:PATH",
    "parquet": "parquet:PATH",
    "digits": "digits",
    "made": "made:FAMILY?difficulty=0.5&images=900&size=48&seed=0",
}
_PATH_KINDS: dict[str, Kind] = {"folder": "folder", "csv": "csv", "parquet": "parquet"}

_NAMED = re.compile(r"(?P<name>[^=:/?]*)=(?P<text>.*)")
_OPTIONS: dict[str, type[int] | type[float]] = {"difficulty": float, "images": int, "size": int, "seed": int}


@dataclass(frozen=True)
class Source:
    """A source that reads well: its short name, its text without that name, and where or what it is."""

    name: str
    text: str
    kind: Kind
    path: Path = Path()
    made: MadeSet | None = None


def name_of(source: str) -> str:
    """Return the short name of a source's data set without looking at its images.

    Raises
    ------
    DataError
        As `parse_source`.
    """
    return parse_source(source).name


def parse_source(source: str) -> Source:
    """Read a source's words; the name is derived from them unless it is given in front.

    Raises
    ------
    DataError
        If the kind, an option or its value is unknown, or something is missing.
    """
    source = source.strip()
    named = None if Path(source).expanduser().is_dir() else _NAMED.fullmatch(source)
    if named is None:
        return _parse("", source)
    name, text = named["name"].strip(), named["text"].strip()
    if not name or not text:
        raise DataError(
            f"{source!r}: {'no name stands before' if text else 'no source stands after'} the '='; write NAME=SOURCE."
        )
    return _parse(name, text)


def _parse(name: str, text: str) -> Source:
    kind, colon, place = text.partition(":")
    if text == "digits":
        return Source(name or "digits", text, "digits")
    if colon and kind == "made":
        made = _parse_made(place)
        return Source(name or made_name(made), text, "made", made=made)
    if place and (path_kind := _PATH_KINDS.get(kind)):
        path = Path(place).expanduser()
        return Source(name or _path_name(path, path_kind), text, path_kind, path=path)
    path = Path(text).expanduser()
    if text and path.is_dir():
        return Source(name or _path_name(path, "folder"), text, "folder", path=path)
    raise _not_a_source(text, path)


def _not_a_source(text: str, path: Path) -> DataError:
    kind, colon, place = text.partition(":")
    known = f"Known: {', '.join(KINDS.values())}, or the path of a folder."
    if kind == "digits":
        return DataError(f"{text!r}: digits takes nothing after its name; write digits.")
    if kind in KINDS and not place:
        return DataError(f"{text!r}: nothing says which {kind}. {known}")
    if path.is_file():
        return DataError(
            f"{text!r} is a file, not a folder; write csv:{text} or parquet:{text} if it is an index of images. {known}"
        )
    if not colon and "/" in text:
        return DataError(f"{text!r}: no such folder; check the path. {known}")
    return DataError(f"{text!r}: unknown kind of source {kind!r}{did_you_mean(kind, KINDS)} {known}")


def _path_name(path: Path, kind: Kind) -> str:
    path = path if path.name not in ("", "..") else path.resolve()
    return (path.name if kind == "folder" else path.stem) or kind


def _parse_made(place: str) -> MadeSet:
    family, _, query = place.partition("?")
    values: dict[str, int | float] = {}
    for part in query.split("&") if query else []:
        pairs = parse_qsl(part, keep_blank_values=True)
        if len(pairs) != 1 or "=" not in part:
            raise DataError(f"made:{place}: {part!r} is not an option; write OPTION=VALUE, several with '&' between them.")
        option, text = pairs[0]
        if option not in _OPTIONS:
            hint = did_you_mean(option, _OPTIONS)
            raise DataError(f"made:{place}: unknown option {option!r}{hint} Known: {', '.join(_OPTIONS)}.")
        if option in values:
            raise DataError(f"made:{place}: {option} is given twice; give it once.")
        try:
            values[option] = _OPTIONS[option](text)
        except ValueError:
            wanted = "a whole number" if _OPTIONS[option] is int else "a number"
            raise DataError(f"made:{place}: {option} is {text!r}; it must be {wanted}.") from None
    return MadeSet(family, **values)  # type: ignore[arg-type]  # the converters above give each option its type


def made_name(made: MadeSet, full: bool = False) -> str:
    """Return a readable name of a drawn set: its family and the options that are not the usual ones, or all of them."""
    options = [f for f in fields(MadeSet) if f.name != "family" and (full or getattr(made, f.name) != f.default)]
    return "-".join([made.family, *(f"{f.name}{getattr(made, f.name)}" for f in options)])
