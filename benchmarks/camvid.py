"""Write the indexes that CamVid gives from its masks: `python -m benchmarks.camvid FOLDER OUTPUT`.

FOLDER has `train`, `val` and `test` with `images` and `masks`, as SegNet's tutorial publishes CamVid: a mask has the number of
the class of each pixel, and 11 where it is void. OUTPUT gets

    multilabel.parquet    the classes with more than 1 % of the pixels of an image, as a list
    regression.parquet    the share of road, sky, building and tree, in percent of the pixels that are not void

Both have the split of CamVid and absolute paths. No image is copied.
"""

import argparse
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
    for split in SPLITS:
        for mask in sorted((folder / split / "masks").glob("*.png")):
            image = next((folder / split / "images").glob(f"{mask.stem}.*"), None)
            if image is None:
                raise SystemExit(f"{folder / split / 'images'}: has no image {mask.stem}, but there is {mask}.")
            known.append({"path": image.resolve().as_posix(), "split": split})
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
