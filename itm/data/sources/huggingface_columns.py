"""The image and the label of each row of a table of the package `datasets`, and where its Arrow files have them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datasets import ClassLabel, Dataset, Image, Value

from itm.core.errors import DataError, did_you_mean
from itm.core.text import join_names
from itm.core.types import SplitName
from itm.data.archives.arrow_file import cell, read_arrow
from itm.data.rows import Row

MOST_NAMES = 12  # in a message
LABELS = ("label", "labels", "class", "target")  # usual names of columns without names of classes


@dataclass(frozen=True)
class TableColumns:
    """The columns of images and labels. `names` are those of the classes if the label is their number."""

    image: str
    label: str
    names: tuple[str, ...] = ()


def find_columns(source: str, table: Dataset, image: str | None, label: str | None) -> TableColumns:
    """Return the columns that the user names, or else the only ones with the types of images and of classes.

    Raises
    ------
    DataError
        If a column is missing, of another type, or not the only one.
    """
    features = table.features
    for name in (image, label):
        if name is not None and name not in features:
            raise DataError(f"{source}: there is no column {name!r}{did_you_mean(name, features)} Found: {_described(table)}.")
    images = [name for name, feature in features.items() if _is_image(feature)]
    classes = [name for name, feature in features.items() if isinstance(feature, ClassLabel)]
    usual = [name for name in LABELS if name in features and _is_plain(features[name])]
    chosen_image = image or _only(source, table, "image", images)
    chosen_label = label or _only(source, table, "label", classes or usual[:1])
    if chosen_image not in images:
        raise DataError(f"{source}: the column {chosen_image!r} has no images. Found: {_described(table)}.")
    feature = features[chosen_label]
    if not (isinstance(feature, ClassLabel) or _is_plain(feature)):
        raise DataError(f"{source}: the column {chosen_label!r} has no single class. Found: {_described(table)}.")
    return TableColumns(chosen_image, chosen_label, tuple(feature.names) if isinstance(feature, ClassLabel) else ())


def rows_of(name: str, table: Dataset, columns: TableColumns, split: SplitName | None) -> list[Row]:
    """Return the row of each image of a part, where the Arrow files of the part have it."""
    return [
        Row(location, f"{name}/{number}", target, split, number=number + 1)
        for number, (location, target) in enumerate(_places(table, columns))
    ]


def _places(table: Dataset, columns: TableColumns) -> Iterator[tuple[str, str]]:
    """Yield the location and the label of each image, in the order of the rows."""
    import pyarrow.compute as pc

    if table._indices is not None or not table.cache_files:  # rows that are chosen from the files, or in memory only
        raise DataError("the data set is not kept in files as it is; write it with save_to_disk and name the folder.")
    for file in (entry["filename"] for entry in table.cache_files):
        found = read_arrow(file)
        labels, images = found.column(columns.label).to_pylist(), found.column(columns.image)
        paths: list[str | None] = [None] * len(found)
        if images.type.num_fields:  # otherwise the column has nothing but bytes
            empty = pc.is_null(pc.struct_field(images, "bytes"))
            if pc.any(empty).as_py() and images.type.get_field_index("path") >= 0:
                paths = pc.if_else(empty, pc.struct_field(images, "path"), None).to_pylist()
        for row, (label, path) in enumerate(zip(labels, paths, strict=True)):
            location = Path(path).as_posix() if path and Path(path).is_absolute() else cell(file, columns.image, row)
            yield location, _target(label, columns.names)


def _target(label: object, names: tuple[str, ...]) -> str:
    if not names:
        return "" if label is None else str(label)
    return names[label] if isinstance(label, int) and 0 <= label < len(names) else ""  # -1 stands for no label


def _is_image(feature: object) -> bool:
    if isinstance(feature, dict):
        return "bytes" in feature and set(feature) <= {"bytes", "path"}
    return isinstance(feature, Image) or (isinstance(feature, Value) and feature.dtype in ("binary", "large_binary"))


def _is_plain(feature: object) -> bool:
    return isinstance(feature, Value) and (feature.dtype in ("string", "large_string", "bool") or "int" in feature.dtype)


def _only(source: str, table: Dataset, what: str, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    problem = f"several columns can be the {what}: {join_names(names, MOST_NAMES)}" if names else f"no column is the {what}"
    raise DataError(f"{source}: {problem}. Write ?{what}=COLUMN. Found: {_described(table)}.")


def _described(table: Dataset) -> str:
    """Return the names and types of columns."""
    types = {name: getattr(feature, "dtype", None) or type(feature).__name__ for name, feature in table.features.items()}
    kinds = {name: type(table.features[name]).__name__.lower() for name in types}
    return join_names([f"{name} ({types[name] if kinds[name] == 'value' else kinds[name]})" for name in types], MOST_NAMES)
