"""Install a small package into a folder, as `pip install --target` would: modules and entry points, without a network."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def install(
    folder: Path, distribution: str, modules: Mapping[str, Path | str], entry_points: Mapping[str, Mapping[str, str]]
) -> Path:
    """Write a distribution into `folder` and return `folder`, which belongs on PYTHONPATH.

    Parameters
    ----------
    folder
        Created if it is missing.
    distribution
        The name of the distribution.
    modules
        Name of each module, and its file or its code.
    entry_points
        By group, the name of each entry point and what it loads, as ``module`` or ``module:attribute``.
    """
    metadata = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    for name, code in modules.items():
        text = code.read_text(encoding="utf-8") if isinstance(code, Path) else code
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n", encoding="utf-8")
    lines = [
        line for group, found in entry_points.items() for line in (f"[{group}]", *(f"{k} = {v}" for k, v in found.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def environment(*folders: Path) -> dict[str, str]:
    """Return the environment of a process that finds the packages in `folders`, and this checkout."""
    places = [*map(str, folders), str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))}


def command(*words: str) -> list[str]:
    """Return the command `itm` with its arguments."""
    return [sys.executable, "-c", "from itm.cli.app import app; app()", *words]
