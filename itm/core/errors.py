"""Error types of the library.

A message names the wrong value and says what to do.
"""

import errno
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches


class ItmError(Exception):
    """Base class of all errors that a user can cause and fix."""


class ParamsError(ItmError):
    """A parameter, option or command-line value is wrong."""


class DataError(ItmError):
    """A data set cannot be used."""


class ModelError(ItmError):
    """A model cannot be resolved, built or loaded."""


class StoreError(ItmError):
    """A file of the store is missing, damaged or from another version."""


class ScoreError(ItmError):
    """A score is undefined for the given features and labels."""


class ServerError(ItmError):
    """A server that the work needs cannot be started or does not answer."""


class AgreementError(ItmError):
    """Accuracies and scores cannot be compared."""


OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")  # messages of torch's allocators and of cuDNN
_NUMBERS = {FileNotFoundError: errno.ENOENT, PermissionError: errno.EACCES, IsADirectoryError: errno.EISDIR}
_NUMBER = re.compile(r"\[errno (\d+)\]", re.IGNORECASE)
_FIXES = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there, or raise the quota",
    errno.EFBIG: "free space there, or raise the limit with `ulimit -f`",
    errno.EACCES: "change its permissions, or run as its owner",
    errno.EPERM: "change its permissions, or run as its owner",
    errno.EROFS: "mount it writable",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EMFILE: "raise the limit with `ulimit -n`",
    errno.ENFILE: "close programs, or raise the system's limit of open files",
    errno.ENOMEM: "free memory",
    errno.ENOTDIR: "a part of the path is a file; check the path",
    errno.EISDIR: "it is a folder; name a file",
    errno.ENOLCK: "the file system has no locks; use a local folder",
    errno.EOPNOTSUPP: "the file system cannot do this; use a local folder",
    errno.ESTALE: "mount the network share again",
}


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, of the machine or of a device."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)


def cause(error: BaseException) -> str:
    """Return why something failed: one line without error numbers, never empty."""
    if is_out_of_memory(error):
        return "memory ran out"
    if number := _error_number(error):
        return os.strerror(number)
    if count := getattr(error, "error_count", None):  # of pydantic, whose messages have many lines and addresses
        return f"{count()} of its values do not fit"
    text = str(error).strip().partition("\n\n")[0]  # polars adds advice on its own options
    return " ".join(text.split())[:300] or f"{type(error).__name__} without a message"


def fix(error: BaseException) -> str:
    """Return what a user can do about an error of the system."""
    if is_out_of_memory(error):
        return "free memory, or use smaller batches or fewer workers"
    return _FIXES.get(_error_number(error), "check the disk or the network, and run again")


def printable(text: str) -> str:
    r"""Return text that UTF-8 can hold. Names of files can have bytes that are not text.

    >>> printable("caf\udce9.png")
    'caf\\udce9.png'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def is_expected(error: BaseException) -> bool:
    """Return whether an error can happen on any machine and is no defect of the program, so nobody needs its traceback."""
    if isinstance(error, BrokenPipeError):  # whoever read the output, such as `head`, has enough: click ends the command
        return False
    return isinstance(error, ItmError) or is_out_of_memory(error) or bool(_error_number(error))


def _error_number(error: BaseException) -> int:
    """Return the number of an error of the system, or 0. pyarrow and fsspec have it in the text or the type only."""
    if not isinstance(error, OSError):
        return 0
    found = _NUMBER.search(str(error))
    return error.errno or (int(found[1]) if found else _NUMBERS.get(type(error), 0))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown word.

    It is ``"; did you mean 'x' or 'y'?"``, or a full stop if no known word is similar.
    """
    lower = {name.lower(): name for name in known}
    near = [lower[name] for name in get_close_matches(word.lower(), lower, n=2, cutoff=0.6)]
    return f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else "."
