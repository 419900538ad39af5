"""Files and folders that systems and programs leave in folders of images. They are no images of a class."""

import re

_FOLDERS = {
    "$recycle.bin",
    "#recycle",
    "#snapshot",
    "@eadir",
    "@recently-snapshot",
    "@recycle",
    "@tmp",
    "~snapshot",
    "__macosx",
    "__pycache__",
    "_gsdata_",
    "found.000",
    "lost+found",
    "network trash folder",
    "system volume information",
    "temporary items",
}
_ENDINGS = "xmp|aae|thm|part|partial|crdownload|download|tmp|temp|aria2|!ut|swp|bak|lnk|url|dvc|ini|lock"
_FILES = re.compile(
    rf"thumbs(?:_\w+)?\.db|ehthumbs(?:_vista)?\.db|icon\r|zbthumbnail\.info|index\.html?|dvc\.yaml|.*\.(?:{_ENDINGS})|"
    r"_success|_(?:committed|started)_\d+|"  # of Spark
    r"~\$.*|.*~|.*\.sync-conflict-\d.*|.*\((?:[^()]* )?conflicted copy[^()]*\).*|.*\[conflict[^\]]*\].*",
    re.IGNORECASE,
)


def is_clutter(name: str, folder: bool = False) -> bool:
    """Return whether a file or folder with this name is hidden, or left by a system or program.

    >>> [is_clutter(name) for name in (".DS_Store", "._rose.jpg", "Thumbs.db", "rose.jpg.part", "rose.jpg")]
    [True, True, True, True, False]
    """
    if name.startswith("."):
        return True
    return name.casefold() in _FOLDERS if folder else bool(_FILES.fullmatch(name))
