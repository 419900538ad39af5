"""The source `wds:SHARDS`: samples of WebDataset, whose members of one tar file share the name before the first dot."""

import glob
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import BinaryIO, ClassVar, Self

from itm.core.errors import DataError, cause
from itm.core.text import join_names
from itm.core.types import SplitName
from itm.data.archives.members import Archive, join, split
from itm.data.archives.opened import open_archive, open_member
from itm.data.archives.tar_file import TarFile
from itm.data.archives.unpacked import readable_tar
from itm.data.local_files import expand, is_file, is_folder, is_picture, is_utf8, readable
from itm.data.rows import Listing, Row, read_split
from itm.data.sources.base import OptionValue, Source, register_source
from itm.data.sources.class_names import find_class_names
from itm.store.layout import Store

MOST_NAMES = 4  # in a message
LONGEST_LABEL = 2**20  # bytes
SHARDS = ("*.tar", "*.tgz", "*.tar.gz")
SAMPLE = "members whose names agree up to the first dot are one sample, so rename or remove the others"
LABELS = ("label", "class", "cls", "target")  # usual fields of a JSON file
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_ADDRESS = re.compile(r"pipe:|[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@register_source
@dataclass(frozen=True)
class WebDataset(Source):
    """Shards of samples that have an image and a label: a member `cls`, or a field of a member `json`."""

    scheme: ClassVar[str] = "wds"
    usage: ClassVar[str] = "wds:FOLDER_OR_SHARDS?label=FIELD"
    options: ClassVar[Mapping[str, type[OptionValue]]] = {"label": str}
    has_containers: ClassVar[bool] = True

    shards: str
    label: str | None = None

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:
        if _ADDRESS.match(place):
            raise DataError(f"wds:{place}: is an address; download the shards and write their path.")
        return cls(str(expand(place)), str(options["label"]) if "label" in options else None)

    @property
    def default_name(self) -> str:
        path = Path(self.shards)
        name = path.name if is_folder(path) else path.absolute().parent.name
        return name or path.resolve().name or self.scheme

    @property
    def local_place(self) -> Path | None:
        return None if _RANGE.search(self.shards) or glob.has_magic(self.shards) else Path(self.shards)

    def fingerprint(self) -> Mapping[str, float]:
        files = [*self._paths()]
        names = find_class_names(_folders(files, self._root()))
        return {path.as_posix(): path.stat().st_mtime for path in [*files, *([names.file] if names else [])]}

    def local_file(self, location: str) -> str:
        return split(location)[0]

    def open(self, location: str) -> BinaryIO:
        return open_member(location)

    def list(self, store: Store) -> Listing:
        paths = [*self._paths()]
        splits = {path: _split_of(path, self._root()) for path in paths}
        notes, warnings = list[str](), list[str]()
        if "train" not in splits.values() and any(splits.values()):
            notes.append(f"{self.shards}: there are no shards of train, so all shards are split again")
            splits = dict.fromkeys(paths)
        used = [path for path in paths if splits[path]] or paths
        if len(used) < len(paths):
            ignored = join_names([_below(path, self._root()) for path in paths if not splits[path]], MOST_NAMES)
            warnings.append(f"{self.shards}: ignored shards without a split in the name: {ignored}")
        rows = [row for path in used for row in self._rows(path, splits[path], store)]
        if names := find_class_names(_folders(paths, self._root())):
            labels, note = names.name([row.target for row in rows])
            notes += [note] * bool(note)
            rows = [replace(row, target=label) for row, label in zip(rows, labels, strict=True)]
        return Listing(tuple(rows), notes=tuple(notes), warnings=tuple(warnings))

    def _paths(self) -> Iterator[Path]:
        """Yield the shards in the order of their names."""
        if is_folder(self.shards):
            found = sorted({path for pattern in SHARDS for path in Path(self.shards).rglob(pattern)})
        elif is_file(self.shards):
            found = [Path(self.shards)]
        else:
            found = [path for text in _expanded(self.shards) for path in _matching(text)]
        if not found or (found == [Path(self.shards)] and not is_file(found[0])):
            what = "holds no tar files" if is_folder(self.shards) else "no such folder or shard; check the path"
            raise DataError(f"{self.shards}: {what}.")
        for path in found:
            if not is_file(path):
                raise DataError(f"{path}: there is no such shard; download it, or name the shards that are there.")
            yield path

    def _root(self) -> Path:
        return Path(self.shards) if is_folder(self.shards) else Path(_RANGE.split(self.shards)[0]).parent

    def _rows(self, path: Path, split: SplitName | None, store: Store) -> Iterator[Row]:
        try:
            tar = readable_tar(path, store)
            archive = open_archive(tar)
        except DataError as error:
            yield Row(path.as_posix(), _below(path, self._root()), "", split).reject("unreadable", f"unreadable: {error}")
            return
        if isinstance(archive, TarFile) and archive.damage:
            reason = f"truncated or damaged: {archive.damage}; the samples before are used. Copy or download the shard again"
            yield Row(path.as_posix(), _below(path, self._root()), "", split).reject("truncated or damaged", reason)
        samples: dict[str, dict[str, str]] = {}
        for name in archive.names:
            folder, _, file = name.rpartition("/")
            key, _, extension = file.partition(".")
            if key:
                samples.setdefault(f"{folder}/{key}" if folder else key, {})[extension.lower()] = name
        for key, members in samples.items():
            yield self._row(archive, tar, path, key, members, split)
        yield from (replace(one.row(tar.as_posix()), split=split) for one in archive.rejected)

    def _row(
        self, archive: Archive, tar: Path, shard: Path, key: str, members: Mapping[str, str], split: SplitName | None
    ) -> Row:
        images = [extension for extension in members if is_picture(f".{extension}")]
        single = [extension for extension in images if "." not in extension] or images
        name = members[single[0]] if single else key
        relative = f"{_below(shard, self._root())}/{name}"
        if not is_utf8(name):
            row = Row(join(tar.as_posix(), readable(name)), readable(relative), "", split)
            return row.reject("unreadable", "unreadable: the name of the sample is not UTF-8")
        row = Row(join(tar.as_posix(), name), relative, "", split)
        if not single:
            return row.reject("missing", f"missing: the sample has no image, only {join_names(sorted(members), MOST_NAMES)}")
        if len(single) > 1:
            reason = f"the sample has several images: {join_names(single, MOST_NAMES)}; {SAMPLE}"
            return row.reject("unsupported", f"unsupported: {reason}")
        try:
            return replace(row, target=self._label(archive, members))
        except (DataError, OSError) as error:
            return row.reject("no label", f"no label: {cause(error)}")

    def _label(self, archive: Archive, members: Mapping[str, str]) -> str:
        """Return the label of a sample: a field of its JSON file if one is named or there is no member `cls`."""
        if "cls" in members and self.label is None:
            return _text(archive, members["cls"])
        if "json" not in members:
            raise DataError(f"the sample has no member {'json' if self.label else 'cls or json'}")
        try:
            fields = json.loads(_text(archive, members["json"]))
        except ValueError as error:
            raise DataError(f"the JSON of the sample is damaged ({error})") from error
        known = list(fields) if isinstance(fields, dict) else []
        name = self.label or next((name for name in LABELS if name in known), None)
        if name not in known:
            found = ", ".join(known) or "none"
            what = f"no field {name or 'label'}"
            raise DataError(f"the JSON of the sample has {what}; name one with ?label=FIELD. Found: {found}")
        value = fields[name]
        if isinstance(value, dict | list | float | None):
            raise DataError(f"the field {name!r} holds {type(value).__name__} and no text or whole number")
        return str(value)


def _text(archive: Archive, name: str) -> str:
    with archive.open(name) as stream:
        return stream.read(LONGEST_LABEL).decode("utf-8", "replace").strip()


def _expanded(text: str) -> Iterable[str]:
    """Return a text with each range such as `{000..012}` replaced by its numbers."""
    parts = _RANGE.split(text)
    ranges = [(parts[place], parts[place + 1]) for place in range(1, len(parts), 3)]
    numbers = [[str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)] for first, last in ranges]
    fixed = parts[::3]
    for chosen in product(*numbers):
        yield "".join(piece + number for piece, number in zip(fixed, (*chosen, ""), strict=True))


def _matching(text: str) -> list[Path]:
    return [Path(path) for path in sorted(glob.glob(text))] if glob.has_magic(text) else [Path(text)]  # noqa: PTH207


def _split_of(path: Path, root: Path) -> SplitName | None:
    """Return the split that the name of a shard, or of a folder between it and the root, stands for."""
    for part in reversed(Path(_below(path, root)).parts):
        words = re.split(r"[-_.]", part)
        found = {split for word in words if (split := read_split(word))}
        if len(found) == 1:
            return found.pop()
    return None


def _below(path: Path, root: Path) -> str:
    """Return the path of a shard below the root: shards in different folders can have the same name."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _folders(paths: Iterable[Path], root: Path) -> list[Path]:
    """Return the folders that may hold the names of classes: those of the shards, and the ones around them up to the root."""
    return list(dict.fromkeys([*(path.parent for path in paths), root]))
