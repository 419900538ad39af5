"""What the text of `--zoo`, or of `zoo` in Python, means: a zoo of the package, a zoo file, or names of models."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from itm.core.errors import ParamsError, did_you_mean
from itm.zoo.packaged import named_zoos, packaged_zoos
from itm.zoo.wheel_zoos import WHEEL_ZOOS

ZOO_FILES = (".yaml", ".yml", ".json")
NAME = re.compile(r"[\d_*?\[:/]")  # characters in names of models that no zoo name has


@dataclass(frozen=True)
class ZooChoice:
    """Values of the section `zoo` of the parameters: a zoo file or the name of a zoo of the package, and names of models."""

    file: Path | None = None
    models: tuple[str, ...] = ("*",)


def _is_file(text: str) -> bool:
    """Return whether a text is an existing file. Of a text that is too long, `Path.is_file` raises an error."""
    return "," not in text and os.path.isfile(text)  # noqa: PTH113


def parse_zoo(text: str | Path) -> ZooChoice:
    """Return the models that a text means.

    A name of the package such as ``edge`` wins over a file of this name, and an existing file over names of models. Names and
    wildcards such as ``timm:resnet*`` are separated by commas.

    Raises
    ------
    ParamsError
        If it can be none of these.

    >>> parse_zoo("timm:resnet*, vit_small*").models
    ('timm:resnet*', 'vit_small*')
    >>> parse_zoo("zoo.yaml").file
    PosixPath('zoo.yaml')
    """
    text = str(text).strip()
    zoos = named_zoos()
    path = Path(text)
    if text in zoos or path.suffix.lower() in ZOO_FILES or text.startswith((".", "/", "~")) or _is_file(text):
        is_other_file = text not in zoos and str(path) in zoos  # such as ./edge
        return ZooChoice(file=path.absolute() if is_other_file else path.expanduser())
    models = tuple(name for part in text.split(",") if (name := part.strip()))
    if not models or not all(map(NAME.search, models)):
        near = did_you_mean(text, zoos)
        raise ParamsError(
            f"there is no zoo or zoo file {text!r}{near} The zoos of the package are {', '.join(packaged_zoos())}; "
            f"`itm zoo add` adds {', '.join(WHEEL_ZOOS)}. A model is named by --model, or as timm:NAME."
        )
    return ZooChoice(models=models)
