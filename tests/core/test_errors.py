"""Messages about errors name path, cause and fix, and are never empty."""

import errno
import os
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel, ValidationError

from itm.core.errors import DataError, ItmError, ParamsError, cause, is_expected
from itm.core.params import Params
from itm.core.secrets import error_message
from itm.core.types import Failure
from itm.core.yaml_records import read_yaml


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


def test_bytes_that_are_not_text_do_not_spoil_a_message() -> None:
    name = os.fsdecode(b"caf\xe9.png")
    assert error_message(DataError(f"{name}: is damaged.")) == "caf\\udce9.png: is damaged."
    assert Failure("data", "model", "extract", f"{name}: is damaged.").reason == "caf\\udce9.png: is damaged."


def test_only_errors_of_the_system_need_no_traceback() -> None:
    expected = [OSError(errno.EIO, "x"), FileNotFoundError("x"), MemoryError(), DataError("x")]
    assert all(map(is_expected, expected))
    assert not any(map(is_expected, [ValueError("x"), OSError("x"), BrokenPipeError(errno.EPIPE, "x"), KeyError("x")]))


def test_cause_has_no_error_number_and_is_never_empty() -> None:
    assert cause(OSError(errno.EROFS, "Read-only file system", "x")) == "Read-only file system"
    assert cause(ValueError(" \n")) == "ValueError without a message"


def test_words_of_libraries_are_shortened_to_what_matters(tmp_path: Path) -> None:
    class Two(BaseModel):
        one: int
        other: int

    with pytest.raises(ValidationError) as invalid:
        Two.model_validate({"one": "x", "other": "y"})
    assert cause(invalid.value) == "2 of its values do not fit"
    with pytest.raises(pl.exceptions.PolarsError) as unread:
        pl.read_csv(b"a,b\n1,2\n1,2,3\n")
    assert "\n" not in cause(unread.value)
    assert "truncate_ragged_lines" not in cause(unread.value)
    with pytest.raises(OSError, match="nowhere") as missing:
        pq.read_table(tmp_path / "nowhere.parquet")
    with pytest.raises(OSError, match="errno") as unwritten:
        pq.write_table(pa.table({"x": [1]}), tmp_path / "nowhere" / "x.parquet")
    assert cause(missing.value) == cause(unwritten.value) == "No such file or directory"


def test_yaml_error_names_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("store: data\ndata: {seed: 1\nzoo: 'x'\n")
    with pytest.raises(ParamsError) as caught:
        read_yaml(path, Params)
    assert str(caught.value) == f"{path}: is not valid YAML at line 3, column 4: expected ',' or '}}', but got ':'; correct it."
