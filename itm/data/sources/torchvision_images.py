"""Images and classes of the data sets of torchvision, which torchvision reads, checks and downloads."""

import contextlib
import importlib
import inspect
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from itm.core.errors import DataError, cause
from itm.core.torchvision_gate import import_torchvision
from itm.data.sources.torchvision_table import CLASSIFICATION

_FILES: Mapping[
    str, Callable[[Any], Iterable[tuple[Any, Any]]]
] = {  # data sets that open their files themselves: the path and the class of each
    "GTSRB": lambda part: part._samples,
    "OxfordIIITPet": lambda part: zip(part._images, part._labels, strict=True),
}


def load_parts(name: str, root: Path, download: bool) -> dict[str, Any]:
    """Return the parts of a data set by name, after downloading it if that is allowed.

    Raises
    ------
    DataError
        If it is not in `root`, is damaged, or cannot be downloaded.
    """
    import_torchvision()
    kind: Any = getattr(importlib.import_module("torchvision.datasets"), name)
    known, parts = inspect.signature(kind.__init__).parameters, dict[str, Any]()
    if download and "download" not in known:
        raise DataError(f"torchvision:{name}: torchvision cannot download it; download its files into {root} as its page says.")
    for part, arguments in CLASSIFICATION[name].items():
        given = {"loader": str} if "loader" in known else {}  # the path takes the place of the image
        allowed = {"download": download} if "download" in known else {}
        try:
            if download:
                root.mkdir(parents=True, exist_ok=True)
            with contextlib.redirect_stdout(sys.stderr):
                if not download:
                    _check_pickles(kind, root)
                parts[part] = kind(str(root), **arguments, **given, **allowed)
        except Exception as error:  # torchvision raises many types, and so do the readers of formats
            raise _error(name, part, root, download, error) from error
    return parts


def images(name: str, part: Any) -> Iterator[tuple[Path | Image.Image, int]]:
    """Yield each image of a part, as its file if it has one, and the number of its class."""
    if name in _FILES:
        yield from ((Path(path), int(label)) for path, label in _FILES[name](part))
        return
    for number in range(len(part)):
        image, label = part[number]
        if isinstance(image, str):
            yield Path(image), int(label)
        elif file := getattr(image, "filename", ""):
            image.close()
            yield Path(file), int(label)
        else:
            yield image, int(label)


def class_names(part: Any) -> list[str]:
    """Return the names of the classes by number, or nothing if torchvision has none."""
    numbers = getattr(part, "class_to_idx", None)
    names = getattr(part, "classes", None) or getattr(part, "categories", None) or []
    if isinstance(numbers, Mapping) and not names:
        names = sorted(numbers, key=lambda name: numbers[name])
    texts = [str(name[0] if isinstance(name, tuple) else name) for name in names]
    return texts if len(set(texts)) == len(texts) else [f"{number} {name}" for number, name in enumerate(texts)]


def png(image: Image.Image) -> bytes:
    """Return an image without loss. Without compression, the bytes do not depend on the version of zlib."""
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=0)
    return stream.getvalue()


def _check_pickles(kind: Any, root: Path) -> None:
    """Check the MD5 of files that torchvision reads with pickle. It checks them too, before it reads them."""
    if not hasattr(kind, "base_folder") or not hasattr(kind, "meta"):
        return
    from torchvision.datasets.utils import check_integrity  # noqa: TID251  (was imported by the gate)

    folder = root / kind.base_folder
    for file, digest in [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]:
        if (folder / file).exists() and not check_integrity(str(folder / file), digest):
            raise ValueError(f"{folder / file} is not the file that was published: its MD5 differs")


def _error(name: str, part: str, root: Path, download: bool, error: Exception) -> DataError:
    text = cause(error).removesuffix(".")
    what = f"torchvision:{name}: {part + ' ' if part else ''}"
    if download:
        return DataError(f"{what}cannot be downloaded ({text}); connect to the network, or put its files into {root}.")
    if "not found" in text.lower() or isinstance(error, FileNotFoundError):
        return DataError(f"{what}is not in {root}; name its folder with ?root=FOLDER, or write ?download=yes.")
    if isinstance(error, ImportError):
        return DataError(f"{what}needs another package ({text}); install it.")
    return DataError(f"{what}cannot be read ({text}); remove its files from {root} and download them again.")
