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
_FILES = re.compile(
    r"thumbs(?:_\w+)?\.db|ehthumbs(?:_vista)?\.db|desktop\.ini|icon\r|folder\.jpg\.lnk|picasa\.ini|zbthumbnail\.info|"
    r"index\.html?|_success|_(?:committed|started)_\d+|~\$.*|.*~|.*\.(?:xmp|aae|thm|part|partial|crdownload|download|tmp|temp|aria2|!ut|swp|bak|lnk|url|dvc|ini|lock)|"
    r".*\.sync-conflict-\d.*|.*\((?:[^()]* )?conflicted copy[^()]*\).*|.*\[conflict[^\]]*\].*|dvc\.(?:yaml|lock)",
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
