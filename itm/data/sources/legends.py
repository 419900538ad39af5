"""The legend of the masks of a source: from its options, from a file such as `classes.txt`, or from a known data set."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from itm.core.errors import DataError
from itm.core.labels import clean
from itm.data.legend import USUALLY_IGNORED, Legend
from itm.data.sources.base import OptionValue
from itm.data.sources.class_names import find_class_names

OPTIONS: Mapping[str, type[OptionValue]] = {"ignore": str, "classes": str, "patches": int}
VOID = {"void", "ignore", "ignored", "unlabeled", "unlabelled"}  # names of what is no class
CAMVID = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist", "void"]
_CITYSCAPES = {
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic light",
    20: "traffic sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}
_NO_CLASSES = frozenset({*range(34), 65535}) - {*_CITYSCAPES}  # -1, the licence plate, in 16 bits
CITYSCAPES = {  # by the end of the names of the files
    "_gtFine_labelTrainIds": Legend(tuple(enumerate(_CITYSCAPES.values()))),
    "_gtFine_labelIds": Legend(tuple(_CITYSCAPES.items()), _NO_CLASSES | {USUALLY_IGNORED}),
}


def read_legend(where: str, options: Mapping[str, str | None], folders: Iterable[Path], known: Legend | None = None) -> Legend:
    """Return the legend that the options give, else that of a file of names in one of the folders, else the one `known`.

    Classes that are named void, ignore or unlabeled are ignored, and so is 255 if it has no name.

    Raises
    ------
    DataError
        If an option is wrong, or the file of names cannot be used.
    """
    ignored = None if options.get("ignore") is None else _numbers(where, str(options["ignore"]))
    if options.get("classes") is not None:
        legend = named_legend(_names(where, str(options["classes"])))
    elif found := find_class_names(folders):
        legend = named_legend(found.names)
    else:
        legend = known or Legend()
    if options.get("patches") is not None:
        legend = replace(legend, patches=_patches(where, int(str(options["patches"]))))
    if ignored is None:
        return legend
    names = tuple((value, name) for value, name in legend.names if value not in ignored)
    if legend.names and not names:
        raise DataError(f"{where}: ignore={options['ignore']} leaves no class; ignore fewer values.")
    return replace(legend, names=names, ignored=ignored | legend.ignored if legend.names else ignored)


def named_legend(names: Mapping[int, str]) -> Legend:
    """Return the legend of names by value."""
    void = {value for value, name in names.items() if name.casefold() in VOID}
    classes = tuple((value, name) for value, name in sorted(names.items()) if value not in void)
    return Legend(classes, frozenset(void | ({USUALLY_IGNORED} - {value for value, _ in classes})))


def legend_file(folders: Iterable[Path]) -> str | None:
    """Return the file of names that `read_legend` reads without an option, or None."""
    found = find_class_names(folders)
    return found.file.as_posix() if found else None


def _numbers(where: str, text: str) -> frozenset[int]:
    parts = [part.strip() for part in text.replace(";", ",").split(",")]
    if not all(part.isdecimal() for part in parts if part):
        raise DataError(f"{where}: ignore is {text!r}; write values of masks with commas between them, such as ignore=0,255.")
    return frozenset(int(part) for part in parts if part)


def _patches(where: str, number: int) -> int:
    if number < 1:
        raise DataError(f"{where}: patches is {number}; write how many patches of an image are used at most, such as 64.")
    return number


def _names(where: str, text: str) -> dict[int, str]:
    names = [clean(name) for name in text.replace(";", ",").split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise DataError(
            f"{where}: classes is {text!r}; write the names of the values 0, 1, 2 and so on, each once, with commas."
        )
    return dict(enumerate(names))
