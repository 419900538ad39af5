"""Messages about errors name path, cause and fix, and are never empty."""

import errno

import pytest

from itm.core.errors import DataError, ItmError, cause
from itm.core.secrets import error_message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "memory ran out; free memory, or use smaller batches or fewer workers."),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "memory ran out; free memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "/data/x: No space left on device; free space there."),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "x: Permission denied; change its permissions, or run as"),
        (OSError(errno.EMFILE, "Too many open files", "x"), "x: Too many open files; raise the limit with `ulimit -n`."),
        (OSError(errno.EIO, "Input/output error"), "Input/output error; check the disk or the network, and run again."),
        (OverflowError(), "OverflowError without a message"),
        (ItmError(), "ItmError without a message"),
        (KeyError("layer"), "KeyError: 'layer'"),
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (DataError("x.png: is damaged."), "x.png: is damaged."),
    ],
)
def test_message_names_path_cause_and_fix(error: Exception, message: str) -> None:
    assert error_message(error).startswith(message)
    assert "Errno" not in error_message(error)


def test_cause_has_no_error_number_and_is_never_empty() -> None:
    assert cause(OSError(errno.EROFS, "Read-only file system", "x")) == "Read-only file system"
    assert cause(ValueError(" \n")) == "ValueError without a message"
