"""One model a GPU at a time: whoever computes on a GPU of this machine holds its lock, in whatever process."""

import ctypes
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from itm.core.errors import ParamsError

THREADS = torch.get_num_threads()  # the cores this process may use, or what OMP_NUM_THREADS says
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


def device(name: str) -> torch.device:
    """Return the device that `name` stands for; "auto" is a GPU where there is one.

    Raises
    ------
    ParamsError
        If there is no such device here.
    """
    try:
        found = torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
        torch.empty(0, device=found)
    except (AssertionError, RuntimeError) as error:
        told = str(error).partition("\n")[0][:200]
        raise ParamsError(f"extract.device is {name!r}, which cannot be used here ({told}); use 'auto' or 'cpu'.") from error
    return found


def share_cores(workers: int) -> None:
    """Give each of `workers` that compute side by side its share of the cores, in torch and in the matrix library of NumPy."""
    threads = max(1, THREADS // workers)
    torch.set_num_threads(threads)
    threadpool_limits(threads)


def give_memory_back() -> None:
    """Give the system back what was freed; after forward passes glibc keeps more than a hundred megabytes of it."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
