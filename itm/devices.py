"""One model a GPU at a time: whoever computes on a GPU of this machine holds its lock, in whatever process."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

PAUSE = 0.2  # seconds between two looks for a free one


@contextmanager
def leased(target: torch.device) -> Iterator[torch.device]:
    """Hold the GPU that `target` names, or the first free one where it names none; other devices are shared."""
    if target.type != "cuda":
        yield target
        return
    numbers = range(torch.cuda.device_count()) if target.index is None else (target.index,)
    names = [str(torch.cuda.get_device_properties(number).uuid) for number in numbers]  # numbers differ between processes
    with first_free(names, Path(tempfile.gettempdir())) as place:
        try:
            yield torch.device("cuda", numbers[place])
        finally:
            torch.cuda.empty_cache()  # memory that torch keeps for this process would be missing to the next one


@contextmanager
def first_free(names: Sequence[str], folder: Path) -> Iterator[int]:
    """Wait until one of `names` is free, and hold it; a process that is killed lets go of it."""
    locks = [FileLock(folder / f"itm-{name}.lock", mode=0o666) for name in names]
    while True:
        for place, lock in enumerate(locks):
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            try:
                yield place
            finally:
                lock.release()
            return
        time.sleep(PAUSE)
