"""Output that never ends a command: characters that cannot be shown are escaped, and a closed pipe is no error."""

import errno
import io
import os
import sys
from typing import Any, TextIO


def make_output_safe() -> None:
    """Make standard output and standard error accept every text, also after their reader has gone."""
    sys.stdout, sys.stderr = _safe(sys.stdout), _safe(sys.stderr)


def _safe(stream: TextIO) -> TextIO:
    try:
        raw = _Lossy(stream.fileno(), "wb", closefd=False)
    except (AttributeError, OSError):  # it is closed, or no file
        return stream
    stream.flush()
    is_terminal = raw.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, "backslashreplace", line_buffering=is_terminal or stream is sys.stderr
    )


class _Lossy(io.FileIO):
    """A file whose output goes nowhere once it cannot be written. Work must not be lost with it."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if error.errno != errno.EPIPE and sys.stderr:
                print(f"error: the output cannot be written ({error.strerror}).", file=sys.stderr)  # noqa: T201
            return len(data)
