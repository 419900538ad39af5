"""Images in Arrow files, as the package `datasets` keeps them: each is a cell of a column, read without the others.

The location of an image is the path of the file, `!`, the name of the column and the number of the row.
"""

from functools import lru_cache
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from itm.data.archives.members import join, split
from itm.store.hash_cache import FileState, file_state

MOST = 256  # files that stay mapped
_lock = Lock()


def cell(file: str, column: str, row: int) -> str:
    """Return the location of an image."""
    return join(file, f"{column}/{row}")


def open_cell(location: str) -> BinaryIO:
    """Return the bytes of an image as they were stored.

    Raises
    ------
    OSError
        If there is no such file, column or row, or the cell has no bytes.
    """
    file, name = split(location)
    column, _, row = name.rpartition("/")
    table = read_arrow(file)
    if column not in table.column_names or not row.isdecimal() or int(row) >= len(table):
        raise FileNotFoundError(2, "No such row", location)
    value = table.column(column)[int(row)].as_py()
    content = value.get("bytes") if isinstance(value, dict) else value
    if content is None:
        raise FileNotFoundError(2, "The row has no image", location)
    return BytesIO(content)


def read_arrow(file: str) -> Any:
    """Return the table of an Arrow file, whose bytes stay on the disk until they are used.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with _lock:
        return _mapped(file, file_state(Path(file)))


@lru_cache(MOST)
def _mapped(file: str, state: FileState) -> Any:  # noqa: ARG001  (a file that changed is another one)
    import pyarrow as pa  # heavy

    return pa.ipc.open_stream(pa.memory_map(file)).read_all()
