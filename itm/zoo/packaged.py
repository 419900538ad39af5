"""The zoos of the package: the embedded zoo of small checkpoints, and curated lists of timm's models, each under its name."""

import logging
from pathlib import Path

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


def zoo_path(file: Path) -> Path:
    """Return the path of a zoo file, which may be the name of a zoo of the package."""
    path = packaged_zoos().get(str(file))
    if path is None:
        return file
    if file.is_file():
        log.info("%s is the zoo of the package; the file of this name is read if its absolute path is given", file)
    return path
