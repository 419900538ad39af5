"""Folders of images and masks: `images` and `masks`, with or without folders of splits, CamVid and Cityscapes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from itm.core.errors import DataError
from itm.core.text import pluralize
from itm.core.types import SplitName
from itm.data.legend import Legend
from itm.data.local_files import is_folder, is_picture
from itm.data.rows import Listing, Row, read_split
from itm.data.sources.clutter import is_clutter
from itm.data.sources.legends import CAMVID, CITYSCAPES, named_legend, read_legend

IMAGES = ("images", "image", "imgs", "img", "jpegimages", "leftimg8bit")
MASKS = ("masks", "mask", "segmentationclass", "segmentation", "annotations", "labels", "gtfine")
ANNOTATED = "annot"  # the end of folders of masks of CamVid, as SegNet has it
_IMAGE_END = re.compile(r"(_leftImg8bit|[-_](?:image|img|rgb))$", re.IGNORECASE)
_MASK_END = re.compile(r"(_gtFine_label(?:Train)?Ids|[-_](?:mask|masks|label|labels|seg|segmentation|gt|L))$", re.IGNORECASE)
_OF_CITYSCAPES = re.compile("_gtFine_(labelIds|labelTrainIds|instanceIds|color)$")


@dataclass(frozen=True)
class Pair:
    """A folder of images and the folder of their masks."""

    images: Path
    masks: Path
    split: SplitName | None


@dataclass(frozen=True)
class MaskFolders:
    """All pairs of folders below a root."""

    root: Path
    pairs: tuple[Pair, ...]

    @property
    def known_legend(self) -> Legend | None:
        """Return the legend of CamVid or Cityscapes, if the folders are theirs."""
        if self.pairs[0].images.parent.name.casefold() == "leftimg8bit" or self.pairs[0].images.name == "leftImg8bit":
            return CITYSCAPES[self._ending]
        annotated = all(pair.masks.name == f"{pair.images.name}{ANNOTATED}" for pair in self.pairs)
        return named_legend(dict(enumerate(CAMVID))) if annotated or "camvid" in self.root.resolve().name.casefold() else None

    @property
    def _ending(self) -> str:
        """Return the end of the names of the masks of Cityscapes: train ids if the data set has them."""
        first = next(iter(CITYSCAPES))
        has_train_ids = any(path.stem.endswith(first) for pair in self.pairs for path in _pictures(pair.masks))
        return first if has_train_ids else [*CITYSCAPES][1]

    @property
    def legend_folders(self) -> list[Path]:
        """Return the folders in which a file can have the names of the classes."""
        return list(dict.fromkeys([self.root, *(pair.masks.parent for pair in self.pairs), *(p.masks for p in self.pairs)]))

    def list(self, options: Mapping[str, str | None]) -> Listing:
        """Return all images with their masks, without opening any.

        Raises
        ------
        DataError
            If an option or the file of names is wrong, or two masks or images of a folder have the same name.
        """
        known = self.known_legend
        ending = self._ending if known in CITYSCAPES.values() else ""
        legend = read_legend(str(self.root), options, self.legend_folders, known)
        rows = [row for pair in self.pairs for row in self._rows(pair, ending)]
        notes = [f"{self.root}: {legend.note}"]
        if known == legend and known is not None:
            name = "Cityscapes" if ending else "CamVid"
            notes.append(f"{self.root}: the classes are those of {name}; ?classes= names others")
        paired = {row.mask for row in rows}
        masks = [path.as_posix() for pair in self.pairs for path in _masks(pair.masks, ending).values()]
        warnings = []
        if unpaired := [path for path in masks if path not in paired]:
            warnings.append(f"{self.root}: {pluralize(len(unpaired), 'mask')} without an image; first: {unpaired[0]}")
        return Listing(tuple(rows), notes=tuple(notes), warnings=tuple(warnings), legend=legend)

    def files(self) -> Iterator[Path]:
        """Yield all images and masks."""
        for pair in self.pairs:
            yield from _pictures(pair.images)
            yield from _pictures(pair.masks)

    def _rows(self, pair: Pair, ending: str) -> Iterator[Row]:
        masks = _masks(pair.masks, ending)
        for path in _pictures(pair.images):
            name = _name(path, pair.images, _IMAGE_END)
            mask = masks.get(name) or masks.get(path.relative_to(pair.images).with_suffix("").as_posix())
            row = Row(path.as_posix(), path.relative_to(self.root).as_posix(), "", pair.split)
            if mask is None:
                yield row.reject("no mask", f"there is no mask {name}.png in {pair.masks}; add it or remove the image")
            else:
                yield Row(row.path, row.relative, "", pair.split, mask=mask.as_posix())


def find_mask_folders(root: Path) -> MaskFolders | None:
    """Return the folders of images and masks below a folder, or None if it has no masks."""
    pairs = _pairs(root, None)
    if not pairs:
        parts = {path: split for path in _folders(root) if (split := read_split(path.name))}
        pairs = [pair for path, split in parts.items() for pair in _pairs(path, split)]
        pairs += [
            Pair(path, masks, split)
            for path, split in parts.items()
            if is_folder(masks := path.with_name(f"{path.name}{ANNOTATED}")) and _has_pictures(masks)
        ]
    return MaskFolders(root, tuple(pairs)) if pairs else None


def _pairs(folder: Path, split: SplitName | None) -> list[Pair]:
    """Return the pairs of images and masks that are directly in a folder, one for each split inside both."""
    by_name = {path.name.casefold(): path for path in _folders(folder)}
    images = next((by_name[name] for name in IMAGES if name in by_name), None)
    masks = next((by_name[name] for name in MASKS if name in by_name and _has_pictures(by_name[name])), None)
    if images is None or masks is None:
        return []
    inside = {path.name: found for path in _folders(images) if (found := read_split(path.name))}
    if split or not inside or any(is_picture(path.name) for path in images.iterdir()):
        return [Pair(images, masks, split)]
    return [Pair(images / name, masks / name, found) for name, found in inside.items()]


def _masks(folder: Path, ending: str) -> dict[str, Path]:
    """Return the masks below a folder by the name of their image; of those of Cityscapes, the ones with this ending."""
    found: dict[str, Path] = {}
    for path in _pictures(folder):
        if _OF_CITYSCAPES.search(path.stem) and not path.stem.endswith(ending or "\0"):
            continue
        name = _name(path, folder, _MASK_END)
        if (other := found.setdefault(name, path)) != path:
            raise DataError(f"{folder}: {other.name} and {path.name} are both masks of {name}; remove one of them.")
    return found


def _name(path: Path, folder: Path, end: re.Pattern[str]) -> str:
    return (path.relative_to(folder).parent / end.sub("", path.stem)).as_posix()


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if is_folder(path) and not is_clutter(path.name, folder=True))
    except OSError:  # listing it as a folder of classes says why
        return []


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if is_picture(path.name) and not is_clutter(path.name))


def _has_pictures(folder: Path) -> bool:
    return any(is_picture(path.name) for path in folder.rglob("*"))
