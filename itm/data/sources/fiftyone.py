"""The source `fiftyone:FOLDER`: a data set for classification that FiftyOne has exported, read without FiftyOne."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from itm.core.errors import DataError, cause, did_you_mean
from itm.data.local_files import expand, is_file, is_picture
from itm.data.rows import read_split
from itm.data.sources.base import OptionValue, register_source
from itm.data.sources.index_columns import Columns
from itm.data.sources.table import IndexFile

SAMPLES, LABELS = "samples.json", "labels.json"  # of FiftyOneDataset, and of FiftyOneImageClassificationDataset
_Row = tuple[str, str, str]  # path, label and split


@register_source
@dataclass(frozen=True)
class FiftyOne(IndexFile):
    """An export of the type FiftyOneDataset or FiftyOneImageClassificationDataset. `target` is the field of the label."""

    scheme: ClassVar[str] = "fiftyone"
    usage: ClassVar[str] = "fiftyone:FOLDER?label=FIELD&root=FOLDER"
    options: ClassVar[Mapping[str, type[OptionValue]]] = {"label": str, "root": str}

    @classmethod
    def parse(cls, place: str, options: Mapping[str, OptionValue]) -> Self:
        folder = expand(place)
        file = folder if is_file(folder) else folder / (SAMPLES if is_file(folder / SAMPLES) else LABELS)
        given = {"target" if name == "label" else name: str(value) for name, value in options.items()}
        return cls(file, **given)

    @property
    def default_name(self) -> str:
        return self.file.absolute().parent.name or self.scheme

    @property
    def local_place(self) -> Path:
        return self.file.parent

    def _read(self) -> Columns:
        if not is_file(self.file):
            raise DataError(f"{self.file.parent}: has neither {SAMPLES} nor {LABELS}; name the folder of the export.")
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
            rows = [*(self._samples(content) if "samples" in content else self._labels(content))]
        except (OSError, ValueError) as error:
            raise DataError(f"{self.file}: cannot be read ({cause(error)}); export the data set again.") from error
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(f"{self.file}: is no export for classification; export it as FiftyOneDataset.") from error
        values = {name: [row[place] for row in rows] for place, name in enumerate(("path", "target", "split"))}
        if all(values["split"]):
            return Columns(values)
        notes = (f"{self.file}: not every sample has one tag of a split, so the tags are not used",) * any(values["split"])
        return Columns({name: values[name] for name in ("path", "target")}, notes)

    def _labels(self, content: Mapping[str, Any]) -> Iterator[_Row]:
        """Yield the images in `data`, whose labels are listed by their names without suffix."""
        folder, classes = self.file.parent, content.get("classes")
        data = (Path(self.root) if self.root else folder) / "data"
        named = {path.relative_to(data): path for path in sorted(data.rglob("*")) if is_file(path)}
        files = {name.as_posix(): path for name, path in named.items()}
        files |= {name.with_suffix("").as_posix(): path for name, path in named.items()}
        for key, value in content["labels"].items():
            label = value.get("label") if isinstance(value, dict) else value
            if isinstance(classes, list) and isinstance(label, int):
                label = classes[label] if 0 <= label < len(classes) else None
            path = files.get(key) or (files.get(Path(key).with_suffix("").as_posix()) if is_picture(key) else None)
            yield f"data/{path.relative_to(data).as_posix() if path else key}", _text(label), ""

    def _samples(self, content: Mapping[str, Any]) -> Iterator[_Row]:
        samples = content["samples"]
        field = self._field(samples)
        for sample in samples:
            value = sample.get(field) or {}
            splits = {split for tag in sample.get("tags") or () if (split := read_split(tag))}
            yield sample["filepath"], _text(value.get("label")), splits.pop() if len(splits) == 1 else ""

    def _field(self, samples: list[dict[str, Any]]) -> str:
        """Return the field of the samples that has their class."""
        found = {
            name: None
            for sample in samples
            for name, value in sample.items()
            if isinstance(value, dict) and value.get("_cls") == "Classification"
        }
        known = ", ".join(found) or "none"
        if self.target:
            if self.target not in found:
                hint = did_you_mean(self.target, found)
                raise DataError(f"{self.file}: no field {self.target!r} has a class{hint} Fields with a class: {known}.")
            return self.target
        if len(found) != 1:
            raise DataError(f"{self.file}: write ?label=FIELD, since {len(found)} fields have a class: {known}.")
        return next(iter(found))


def _text(label: object) -> str:
    return str(label) if isinstance(label, str | int) else ""
