"""The source `hf:NAME`: a data set of the Hugging Face Hub, a folder of the package `datasets`, or Parquet files."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Self

from itm.core.errors import DataError, cause, did_you_mean
from itm.core.extras import require
from itm.core.text import join_names
from itm.core.types import SplitName
from itm.data.archives.arrow_file import open_cell
from itm.data.archives.members import is_member, split
from itm.data.local_files import expand, is_file, is_folder
from itm.data.pixels import open_file
from itm.data.rows import Listing, Row, read_split
from itm.data.sources.base import OptionValue, Source, register_source
from itm.store.layout import Store

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

MOST_NAMES = 8  # in a message
PATTERNS = ("*.parquet", "*.arrow", "*.json")  # files that matter of a local data set
_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+|[\w-]+")
_BUILDERS = ("arrow", "csv", "json", "parquet", "text", "xml", "imagefolder", "audiofolder", "videofolder", "webdataset")


@register_source
@dataclass(frozen=True)
class HuggingFace(Source):
    """A table with an image in each row, which the package `datasets` keeps in Arrow files."""

    scheme: ClassVar[str] = "hf"
    usage: ClassVar[str] = "hf:NAME_OR_PATH?config=NAME&split=NAME&image=COLUMN&label=COLUMN"
    options: ClassVar[Mapping[str, type[OptionValue]]] = dict.fromkeys(("config", "split", "image", "label"), str)
    has_containers: ClassVar[bool] = True

    name: str
    config: str | None = None
    split: str | None = None
    image: str | None = None
    label: str | None = None

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:
        source = cls(place, **{name: str(value) for name, value in options.items()})
        if source.local_place is None and (not _NAME.fullmatch(place) or place in _BUILDERS):
            raise DataError(
                f"hf:{place}: is neither a folder or Parquet file on this machine nor a name on the Hub, such as OWNER/NAME."
            )
        return source

    @property
    def default_name(self) -> str:
        path = Path(self.name)
        return (path.stem if is_file(expand(self.name)) else path.name) or self.scheme

    @property
    def local_place(self) -> Path | None:
        path = expand(self.name)
        return path if is_folder(path) or is_file(path) or self.name.startswith(("/", "./", "../", "~")) else None

    @property
    def is_remote(self) -> bool:
        return self.local_place is None

    def fingerprint(self) -> Mapping[str, float] | None:
        path = self.local_place
        if path is None:
            return None  # the package `datasets` asks the Hub for another version whenever the data set is ingested
        files = [path] if is_file(path) else [file for pattern in PATTERNS for file in path.rglob(pattern)]
        return {file.as_posix(): file.stat().st_mtime for file in sorted(files)}

    def local_file(self, location: str) -> str:
        return split(location)[0] if is_member(location) else location

    def open(self, location: str) -> BinaryIO:
        return open_cell(location) if is_member(location) else open_file(location)

    def list(self, store: Store) -> Listing:  # noqa: ARG002
        require("hf", f"hf:{self.name}")
        from itm.data.sources.huggingface_columns import find_columns, rows_of

        parts = self._parts()
        splits, notes, warnings = _assigned(f"hf:{self.name}", [*parts])
        first = next((name for name, assigned in splits.items() if assigned == "train"), next(iter(splits)))
        columns = find_columns(f"hf:{self.name}", parts[first], self.image, self.label)
        if self.local_place is not None and _NAME.fullmatch(self.name) and not is_file(self.name):
            notes.append(f"hf:{self.name}: reading the folder of this name, not the Hub")
        rows: list[Row] = []
        for name, assigned in splits.items():
            part, found = parts[name], list[Row]()
            if columns.label in part.features:  # each part has its own type of the column, with its own order of the classes
                own = find_columns(f"hf:{self.name}: the split {name}", part, columns.image, columns.label)
                found = rows_of(name, part, own, assigned)
            if (assigned != "train" or not found) and len(splits) > 1 and not any(row.target for row in found):
                warnings.append(f"hf:{self.name}: ignored the split {name}, which has no labels")
                continue
            rows += found
        return Listing(tuple(rows), notes=tuple(notes), warnings=tuple(warnings))

    def _parts(self) -> "dict[str, Dataset]":
        """Return the data of each split as `datasets` names them."""
        import datasets

        path = self.local_place
        try:
            with _quiet():
                if path is None:
                    log.info("asking the Hugging Face Hub for %s", self.name)
                    found: Any = datasets.load_dataset(self.name, self.config)
                elif is_file(path):
                    found = datasets.load_dataset("parquet", data_files={"train": str(path)})
                elif is_file(path / "dataset_dict.json") or is_file(path / "state.json"):
                    found = datasets.load_from_disk(str(path))
                elif any(path.rglob("*.parquet")):
                    found = datasets.load_dataset("parquet", data_dir=str(path))
                else:
                    if not is_folder(path):
                        raise DataError(f"{path}: there is no such folder or file; check the path.")
                    advice = "write folder:PATH for class folders, or wds:PATH for shards"
                    raise DataError(f"{path}: has neither Parquet files nor what save_to_disk writes; {advice}.")
        except DataError:
            raise
        except Exception as error:  # the package raises nearly anything
            raise self._error(error) from error
        parts = dict(found) if isinstance(found, dict) else {"all": found}
        if self.split is None:
            if not any(map(len, parts.values())):
                raise DataError(f"hf:{self.name}: has no rows; check the data set.")
            return {name: part for name, part in parts.items() if len(part)}
        if self.split not in parts:
            known = join_names(list(parts), MOST_NAMES)
            raise DataError(
                f"hf:{self.name}: there is no split {self.split!r}{did_you_mean(self.split, parts)} Known: {known}."
            )
        return {self.split: parts[self.split]}

    def _error(self, error: Exception) -> DataError:
        text = cause(error)
        if isinstance(error, ConnectionError) or "offline" in text.lower():
            advice = "connect to the network, or name a folder on this machine that save_to_disk wrote"
            return DataError(f"hf:{self.name}: is not on this machine, and the Hub cannot be reached; {advice}.")
        if "onfig name" in text:
            return DataError(f"hf:{self.name}: {text.removesuffix('.')}. Write ?config=NAME.")
        if "script" in text:
            return DataError(f"hf:{self.name}: has a program instead of data, which is never run; choose another data set.")
        return DataError(f"hf:{self.name}: cannot be read ({text.removesuffix('.')}); check the name, or log in to the Hub.")


def _assigned(source: str, names: list[str]) -> tuple[dict[str, SplitName | None], list[str], list[str]]:
    """Return the split of each part that is used, with notes and warnings."""
    read = {name: read_split(name) for name in names}
    if len(names) == 1:
        return dict.fromkeys(names), [], []
    if "train" not in read.values():
        return dict.fromkeys(names), [f"{source}: there is no split train, so all images are split again"], []
    others = [name for name, assigned in read.items() if assigned is None]
    ignored = [f"{source}: ignored {join_names(others, MOST_NAMES)}; read one with ?split=NAME"] if others else []
    return {name: assigned for name, assigned in read.items() if assigned}, [], ignored


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide progress bars and retries of the libraries: an error says what matters."""
    import datasets

    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    were_off = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if not were_off:
            datasets.enable_progress_bars()
