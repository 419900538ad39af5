"""Zoos that have a name: the embedded zoo of small checkpoints, curated lists of timm's models, and zoos of a package index."""

import logging
from pathlib import Path

from itm.core.errors import ParamsError, did_you_mean
from itm.zoo.names import WEIGHT_FILES
from itm.zoo.wheel_zoos import wheel_zoo_files

log = logging.getLogger(__name__)

EMBEDDED = Path(__file__).parent / "embedded" / "zoo.yaml"
IN_CHECKOUT = Path(__file__).parents[2] / "data" / "zoo" / "zoo.yaml"
CURATED = Path(__file__).with_name("curated")
TINY = "tiny"  # the name of the embedded zoo


def embedded_zoo_file() -> Path:
    """Return the zoo file of small checkpoints in the package, for a ranking without downloads."""
    return EMBEDDED if EMBEDDED.is_file() else IN_CHECKOUT


def packaged_zoos() -> dict[str, Path]:
    """Return the zoo files of the package by the names that `--zoo` and `zoo.file` take."""
    return {TINY: embedded_zoo_file()} | {path.stem: path for path in sorted(CURATED.glob("*.yaml"))}


def named_zoos() -> dict[str, Path]:
    """Return the zoo files of the package and of `itm zoo add` by name. The latter may not exist yet."""
    return packaged_zoos() | wheel_zoo_files()


def zoo_path(file: Path) -> Path:
    """Return the path of a zoo file, which may be the name of a zoo.

    Raises
    ------
    ParamsError
        If it is the name of a zoo that was not added yet.
    """
    path = named_zoos().get(str(file))
    if path is None:
        return file
    if str(file) in wheel_zoo_files() and not path.is_file():
        raise ParamsError(f"the zoo {file} is not on this machine yet; run `itm zoo add {file}`, which downloads its weights.")
    if file.is_file():
        log.info("%s is the zoo of the package; the file of this name is read if its absolute path is given", file)
    return path


def check_is_zoo_file(path: Path) -> None:
    """Raise a `ParamsError` if `path` is missing, a folder or a weight file."""
    if path.suffix.lower() in WEIGHT_FILES:
        raise ParamsError(f"{path}: is a weight file, not a zoo file; write a zoo file that names it as `checkpoint`.")
    if path.is_dir():
        raise ParamsError(f"{path}: is a folder, not a zoo file; name the YAML file in it.")
    if not path.exists():
        others = [other.name for ending in ("yaml", "yml", "json") for other in path.parent.glob(f"*.{ending}")]
        near = did_you_mean(path.name, others)
        raise ParamsError(f"{path}: cannot be read (No such file or directory); check the path{near}")
