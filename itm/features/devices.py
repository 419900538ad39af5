"""Devices. Only one model at a time computes on a GPU: a lock per GPU holds across all processes of a machine."""

import ctypes
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from itm.core.errors import ParamsError

log = logging.getLogger(__name__)

THREADS = torch.get_num_threads()  # the cores this process may use, or OMP_NUM_THREADS
PAUSE = 0.2  # seconds between two attempts to lock a GPU


@contextmanager
def leased(target: torch.device) -> Iterator[torch.device]:
    """Lock the GPU that `target` names, or the first free GPU where it names none. Other devices need no lock."""
    if target.type != "cuda":
        yield target
        return
    numbers = range(torch.cuda.device_count()) if target.index is None else (target.index,)
    names = [str(torch.cuda.get_device_properties(number).uuid) for number in numbers]  # numbers can differ between processes
    with first_free(names, lock_folder()) as place:
        try:
            yield torch.device("cuda", numbers[place])
        finally:
            torch.cuda.empty_cache()  # otherwise torch keeps the memory, and the next process lacks it


def lock_folder() -> Path:
    """Return the folder of locks, for all users of this machine. In /tmp itself, nobody can take the lock of another user."""
    folder = Path(tempfile.gettempdir()) / "itm-locks"
    folder.mkdir(exist_ok=True)
    with suppress(PermissionError):  # of another user, who has done this
        folder.chmod(0o777)
    return folder


@contextmanager
def first_free(names: Sequence[str], folder: Path) -> Iterator[int]:
    """Wait until one of `names` is unlocked, and lock it. The lock of a killed process is released."""
    locks = [FileLock(folder / f"itm-{name}.lock", mode=0o666) for name in names]
    is_waiting = False
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
        if not is_waiting:
            log.info("waiting for a GPU: other processes use %s (locks in %s)", "it" if len(names) == 1 else "all", folder)
        is_waiting = True
        time.sleep(PAUSE)


def device(name: str) -> torch.device:
    """Return the device called `name`; "auto" is a GPU if there is one.

    Raises
    ------
    ParamsError
        If there is no such device here.
    """
    try:
        found = torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
        torch.empty(0, device=found)
    except (AssertionError, RuntimeError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ParamsError(f"extract.device is {name!r}, which cannot be used here ({reason}); use 'auto' or 'cpu'.") from error
    return found


def precision_on(target: torch.device, wanted: str) -> str:
    """Return the precision on a device. By default, a GPU that has bf16 computes in it; older ones would only emulate it."""
    if wanted != "auto":
        return wanted
    return "bf16" if target.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


@contextmanager
def exact_convolutions(wanted: bool) -> Iterator[None]:
    """Let a GPU compute convolutions of fp32 in full if `wanted`; otherwise it rounds their inputs to ten bits."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = not wanted
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def share_cores(workers: int) -> None:
    """Limit the threads of torch and NumPy to the share of cores of one of `workers`."""
    threads = max(1, THREADS // workers)
    torch.set_num_threads(threads)
    threadpool_limits(threads)


def trim_memory() -> None:
    """Return freed memory to the system. After forward passes glibc keeps more than 100 MB of it."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
