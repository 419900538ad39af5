"""Parse the text of a source, `[NAME=]SCHEME:PLACE[?OPTION=VALUE&...]`. No image is opened."""

import logging
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

from itm.core.errors import DataError, ParamsError, did_you_mean
from itm.data.local_files import expand, is_file, is_folder
from itm.data.sources import (  # noqa: F401  (each registers its sources)
    archive,
    embeddings,
    fiftyone,
    folder,
    generated,
    huggingface,
    list_file,
    table,
    torchvision_sets,
    webdataset,
)
from itm.data.sources.base import OptionValue, Source, register_source, sources
from itm.data.sources.detection import refuse_detection

log = logging.getLogger(__name__)

GROUP = "itm.sources"  # the entry point group of plug-ins
UNREADABLE_ARCHIVES = (".7z", ".rar", ".zst")
DEPRECATED = {"made": "synthetic"}
LONGEST_NAME = 100  # letters of the name of a data set
_NAMED = re.compile(r"(?P<name>[^=:/?]*)=(?P<text>.*)")
_KINDS_OF_NUMBERS: dict[type, str] = {int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class NamedSource:
    """A source, the short name of its data set, and its text without that name."""

    name: str
    text: str
    source: Source


def parse_source(text: str) -> NamedSource:
    """Parse the text of a source. Without a name in front, the source gives the name.

    Raises
    ------
    DataError
        If the scheme, an option or a value is unknown, or something is missing.
    """
    text = text.strip()
    named = None if is_folder(expand(text)) else _NAMED.fullmatch(text)
    if named is None:
        found = _parse("", text)
    else:
        name, rest = named["name"].strip(), named["text"].strip()
        if not name or not rest:
            raise DataError(f"{text!r}: there is no {'name before' if rest else 'source after'} the '='; write NAME=SOURCE.")
        found = _parse(name, rest)
    if len(found.name) > LONGEST_NAME or not found.name.isprintable():
        raise DataError(
            f"{found.text[:200]}: {found.name[:20] + '...'!r} cannot be the name of a data set; put a name of at most "
            f"{LONGEST_NAME} letters in front: NAME=SOURCE."
        )
    return found


def hidden_folder(source: NamedSource) -> str:
    """Return the folder on this machine that a source without a path would name, or nothing."""
    return source.text if source.text == source.source.scheme and is_folder(source.text) else ""


def check_models_can_be_chosen(text: str) -> None:
    """Check that a source has images, whose models can be chosen.

    Raises
    ------
    ParamsError
        If it has embeddings: then their files are the models.
    """
    if not parse_source(text).source.has_images:
        raise ParamsError(
            f"{text}: every file of embeddings is ranked, so no zoo, model or variant can be chosen; leave that out, or move "
            "the other files to another folder."
        )


def local_path(text: str) -> Path | None:
    """Return the local folder or file that the text of a source names, or None for a source of another kind."""
    return parse_source(text).source.local_place


@cache
def known_sources() -> dict[str, type[Source]]:
    """Return every source class by scheme. A plug-in that cannot be loaded is left out, with a warning.

    An entry point names a source class, or a module in which `register_source` decorates one.
    """
    for entry in entry_points(group=GROUP):
        try:
            loaded = entry.load()
            if not isinstance(loaded, ModuleType):
                register_source(loaded)
        except Exception as error:  # a plug-in can raise anything
            log.warning("the source %r of %s cannot be loaded: %s: %s", entry.name, entry.value, type(error).__name__, error)
    return dict(sources)


def _parse(name: str, text: str) -> NamedSource:
    scheme, colon, rest = text.partition(":")
    if colon and scheme in DEPRECATED:
        _warn_once(scheme)
        scheme = DEPRECATED[scheme]
        text = f"{scheme}:{rest}"
    known = known_sources()
    if not colon and (alone := text.partition("?")[0]) != text and alone in known and known[alone].usage == alone:
        scheme, rest = alone, text.removeprefix(alone)  # such as digits?target=rotation
    if scheme in known and (colon or known[scheme].usage == scheme):
        found = _of_scheme(known[scheme], rest, bool(colon))
    elif text and is_folder(expand(text)):
        found = known["folder"].parse(text, {})
    elif text and is_file(expand(text)) and (archive_class := archive.archive_source(expand(text))):
        found = archive_class.parse(text, {})
        text = f"{found.scheme}:{text}"  # on a machine without the file, the path alone means nothing
    else:
        raise _unknown(text)
    return NamedSource(name or found.default_name, text, found)


def _of_scheme(source: type[Source], rest: str, colon: bool) -> Source:
    place, options = rest, dict[str, OptionValue]()
    if "?" in rest and not (is_file(expand(rest)) or is_folder(expand(rest))):  # a path may contain a question mark
        place, _, query = rest.rpartition("?")
        options = _options(source, rest, query)
    if colon and not place:
        raise DataError(f"'{source.scheme}:': nothing follows the colon. {_known()}")
    return source.parse(place, options)


def _options(source: type[Source], rest: str, query: str) -> dict[str, OptionValue]:
    where, values = f"{source.scheme}:{rest}", dict[str, OptionValue]()
    for part in query.split("&") if query else []:
        option, equals, value = map(unquote, part.partition("="))
        if not option or not equals:
            raise DataError(f"{where}: {part!r} is not an option; write OPTION=VALUE, several with '&' between them.")
        if option not in source.options:
            known = ", ".join(source.options) or "none"
            raise DataError(f"{where}: unknown option {option!r}{did_you_mean(option, source.options)} Known: {known}.")
        if option in values:
            raise DataError(f"{where}: {option} is given twice; give it once.")
        try:
            values[option] = source.options[option](value)
        except ValueError:
            kind = _KINDS_OF_NUMBERS[source.options[option]]
            raise DataError(f"{where}: {option} is {value!r}; it must be {kind}.") from None
    return values


def _unknown(text: str) -> DataError:
    scheme, colon, _ = text.partition(":")
    if scheme in known_sources():
        return DataError(f"{text!r}: the place is missing; write {known_sources()[scheme].usage.partition('?')[0]}.")
    if is_file(expand(text)) and text.lower().endswith(UNREADABLE_ARCHIVES):
        return DataError(f"{text!r} is an archive of a kind that is not read; unpack it and name the folder of its classes.")
    if is_file(expand(text)):
        refuse_detection(expand(text))
        index = f"list:{text}" if text.lower().endswith((".txt", ".lst")) else f"csv:{text} or parquet:{text}"
        return DataError(f"{text!r} is a file, not a folder; for an index of images, write {index}. {_known()}")
    if not colon and archive.archive_source(Path(text)):
        return DataError(f"{text!r}: there is no such archive; check the path, which is relative to {Path.cwd()}.")
    name, equals, rest = text.partition("=")
    if equals and (rest.partition(":")[0] in known_sources() or is_folder(expand(rest))):
        return DataError(f"{text!r}: the name {name!r} has one of the characters / : ?; write another name before the '='.")
    if not colon and "/" in text:
        return DataError(f"{text!r}: there is no such folder; check the path. {_known()}")
    return DataError(f"{text!r}: unknown kind of source {scheme!r}{did_you_mean(scheme, known_sources())} {_known()}")


def _known() -> str:
    usages = sorted(source.usage.partition("?")[0] for source in known_sources().values())
    return f"Known: {', '.join(usages)}, or the path of a folder or an archive."


@cache
def _warn_once(scheme: str) -> None:
    log.warning("%s: is deprecated; write %s: instead", scheme, DEPRECATED[scheme])
