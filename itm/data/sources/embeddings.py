"""The source `embeddings:FOLDER`: embeddings that a user has computed, one file per model, and the labels of their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from itm.core.errors import DataError
from itm.core.labels import as_whole_numbers, clean, is_missing
from itm.core.text import join_names
from itm.data.embedding_files import SUFFIXES, read_array
from itm.data.local_files import expand
from itm.data.rows import Listing, Row, read_split
from itm.data.sources.base import OptionValue, Source, register_source
from itm.data.sources.index_columns import Columns, Wanted, read_csv_columns, read_parquet_columns, text_options
from itm.data.sources.table import without_split
from itm.kinds import get_kind
from itm.store.layout import Store

LABELS = ("labels.csv", "labels.parquet", "labels.npy", "labels.txt")
OPTIONS = ("task", "target", "split", "group")


@register_source
@dataclass(frozen=True)
class Embeddings(Source):
    """A folder with `MODEL.npy`, `MODEL.npz` or `MODEL.parquet` for each model, and one file of labels.

    Row n of every file belongs to label n. Only `labels.csv` and `labels.parquet` can have a split and a group.
    """

    scheme: ClassVar[str] = "embeddings"
    usage: ClassVar[str] = "embeddings:FOLDER?task=TASK&target=COLUMN&split=COLUMN&group=COLUMN"
    options: ClassVar[Mapping[str, type[OptionValue]]] = dict.fromkeys(OPTIONS, str)
    has_images: ClassVar[bool] = False
    has_containers: ClassVar[bool] = True

    path: Path
    task: str = "classification"
    target: str | None = None
    split: str | None = None
    group: str | None = None

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:
        return cls(expand(place), **text_options(f"{cls.scheme}:{place}", options))

    @property
    def kind(self) -> str:
        return self.task

    @property
    def default_name(self) -> str:
        return (self.path if self.path.name not in ("", "..") else self.path.resolve()).name or self.scheme

    def files(self) -> dict[str, Path]:
        """Return the file of each model by the name of the model.

        Raises
        ------
        DataError
            If there is none, or two files have the same name.
        """
        found: dict[str, Path] = {}
        for path in self._entries():
            if path.suffix not in SUFFIXES or path.name in LABELS or path.name.startswith("."):
                continue
            if (other := found.setdefault(path.stem, path)) != path:
                raise DataError(f"{self.path}: {other.name} and {path.name} are both named {path.stem!r}; remove one of them.")
        if not found:
            raise DataError(f"{self.path}: there are no embeddings; save one file per model, such as MODEL.npy.")
        return found

    def list(self, store: Store) -> Listing:  # noqa: ARG002
        """List the labels. Rows without a split are in train, so all of them are scored."""
        self.files()
        file = self._labels()
        columns = self._columns(file)
        targets = self._targets(file, columns)
        nothing = [""] * len(targets)
        groups = [None if is_missing(name) else clean(name) for name in as_whole_numbers(columns.values.get("group", nothing))]
        names = columns.values.get("split", ["train"] * len(targets))
        lines: Sequence[int | None] = columns.lines or [None] * len(targets)
        rows = []
        for number, (target, split, group, line) in enumerate(zip(targets, names, groups, lines, strict=True)):
            own = {"number": number + 1, "line": line, "id": f"{number:09d}"}
            row = Row(file.as_posix(), str(number), target, read_split(split), group, **own)  # type: ignore[arg-type]
            rows.append(row if row.split else without_split(row, split))
        return Listing(tuple(rows), notes=columns.notes, warnings=columns.warnings)

    def fingerprint(self) -> Mapping[str, float]:
        """Return the times of the labels and of all embeddings."""
        return {path.as_posix(): path.stat().st_mtime for path in (self._labels(), *self.files().values())}

    def _entries(self) -> Sequence[Path]:
        try:
            return sorted(self.path.iterdir())
        except OSError as error:
            raise DataError(f"{self.path}: cannot be listed ({error.strerror}); check the path of the folder.") from error

    def _labels(self) -> Path:
        found = [path for path in self._entries() if path.name in LABELS]
        if len(found) > 1:
            names = join_names([path.name for path in found], len(found))
            raise DataError(f"{self.path}: there are several files of labels, {names}; remove all but one.")
        if not found:
            raise DataError(
                f"{self.path}: there are no labels; add labels.csv with the column {get_kind(self.task).target_column!r}, or "
                "labels.npy or labels.txt with one label per row."
            )
        return found[0]

    def _targets(self, file: Path, columns: Columns) -> Sequence[str]:
        """Return the text of the target of each row."""
        try:
            return get_kind(self.task).texts(columns.targets or {"target": columns.values["target"]})
        except DataError as error:
            raise DataError(f"{file}: {error}") from None

    def _columns(self, file: Path) -> Columns:
        if file.suffix in (".csv", ".parquet"):
            names = {
                "target": self.target or get_kind(self.task).target_column,
                "split": self.split or "split",
                "group": self.group or "group",
            }
            needed = ["target", *(["split"] if self.split else []), *(["group"] if self.group else [])]
            wanted = Wanted({role: clean(name) for role, name in names.items()}, tuple(needed), self.task == "multilabel")
            return read_csv_columns(file, wanted) if file.suffix == ".csv" else read_parquet_columns(file, wanted)
        if named := [option for option in ("target", "split", "group") if getattr(self, option)]:
            raise DataError(f"{file}: has no columns, so it has no {named[0]!r}; use labels.csv, or leave ?{named[0]}= out.")
        if file.suffix == ".npy":
            targets = _texts(file, get_kind(self.task).axes)
            return Columns({"target": next(iter(targets.values()))}, targets=targets)
        try:
            return Columns({"target": file.read_text(encoding="utf-8-sig").splitlines()})
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{file}: cannot be read as UTF-8 text; save it again, or use labels.csv.") from error


def _texts(file: Path, axes: Sequence[int]) -> dict[str, list[str]]:
    """Return the columns of an array of labels, named by their number if there are several."""
    values = read_array(file)
    if values.ndim not in {1, *axes} or not values.size:
        raise DataError(f"{file}: has the shape {values.shape}; one label per row is needed.")
    if values.dtype.kind not in "fiubU":
        raise DataError(f"{file}: holds values of type {values.dtype}; text or numbers are needed.")
    if values.ndim == 1:
        return {"target": list(map(str, values.tolist()))}
    return {str(number): list(map(str, column)) for number, column in enumerate(values.T.tolist())}
