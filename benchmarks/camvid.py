"""Write the indexes that CamVid gives from its masks: `python -m benchmarks.camvid FOLDER OUTPUT`.

FOLDER has `train`, `val` and `test` with `images` and `masks`, as SegNet's tutorial publishes CamVid: a mask has the number of
the class of each pixel, and 11 where it is void. OUTPUT gets

    multilabel.parquet    the classes with more than 1 % of the pixels of an image, as a list
    regression.parquet    the share of road, sky, building and tree, in percent of the pixels that are not void

Both have absolute paths; no image is copied. The images are frames of a few films, and neighbours look alike. So every `BLOCK`
frames in a row of one film are a group, which neither splits nor folds divide: without groups, average precision is 0.15 too
high. The split of CamVid is left out. Its validation images are a part of one film, in which the shares hardly vary.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
VOID = len(CLASSES)
LEAST = 0.01  # of the pixels
SHARES = ("road", "sky", "building", "tree")
SPLITS = ("train", "val", "test")
BLOCK = 20  # frames of a film


def shares(mask: Path) -> np.ndarray:
    """Return the share [classes] of each class among the pixels that are not void."""
    values = np.asarray(Image.open(mask))
    counts = np.bincount(values.ravel(), minlength=VOID + 1)
    if values.ndim != 2 or len(counts) > VOID + 1 or counts[:VOID].sum() == 0:
        raise SystemExit(f"{mask}: is no mask of CamVid with class numbers from 0 to {VOID}.")
    return np.asarray(counts[:VOID] / counts[:VOID].sum())


def tables(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the index of the classes that are present, and that of the shares."""
    known: list[dict[str, object]] = []
    found: list[np.ndarray] = []
    masks = sorted((mask for split in SPLITS for mask in (folder / split / "masks").glob("*.png")), key=lambda mask: mask.name)
    films: Counter[str] = Counter()
    for mask in masks:
        images, film = mask.parents[1] / "images", mask.stem.partition("_")[0]
        image = next(images.glob(f"{mask.stem}.*"), None)
        if image is None:
            raise SystemExit(f"{images}: has no image {mask.stem}, but there is {mask}.")
        known.append({"path": image.resolve().as_posix(), "group": f"{film} {films[film] // BLOCK}"})
        films[film] += 1
        found.append(shares(mask))
    if not found:
        raise SystemExit(f"{folder}: has no masks in {', '.join(f'{split}/masks' for split in SPLITS)}.")
    index, share = pl.DataFrame(known), np.stack(found)
    labels = [[name for name, own in zip(CLASSES, row, strict=True) if own > LEAST] for row in share]
    numbers = {f"{name} [%]": (100 * share[:, CLASSES.index(name)]).round(3) for name in SHARES}
    return index.with_columns(labels=pl.Series(labels, dtype=pl.List(pl.String))), index.with_columns(**numbers)


def main() -> None:
    """Write both indexes, and say how to rank them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    labels, numbers = tables(arguments.folder)
    arguments.output.mkdir(parents=True, exist_ok=True)
    root = arguments.folder.resolve()
    for name, table, options in (("multilabel", labels, "?"), ("regression", numbers, "?task=regression&target=*%*&")):
        path = arguments.output / f"{name}.parquet"
        table.write_parquet(path)
        print(f"{path}: {len(table)} images; itm rank 'camvid-{name}=parquet:{path}{options}root={root}'")


if __name__ == "__main__":
    main()
