"""Indexes as spreadsheets and other programs write them are read, and what cannot be read names the line and the fix."""

import gzip
import os
from pathlib import Path

import polars as pl
import pytest

from itm.core.errors import DataError
from itm.data.index import read_index
from itm.data.sources.csv_text import read_cells


@pytest.fixture
def text(petals):
    """Return a plain index of the petals."""
    rows = [f"{path.relative_to(petals)},{path.parent.name}" for path in sorted(petals.rglob("*.png"))]
    return "\n".join(["path,label", *rows]) + "\n"


DIALECTS = {
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "vertical bars": lambda text: text.replace(",", "|").encode(),
    "row names of R": lambda text: "".join(
        f"{n or ''}{',' if n else ''}{line}\n" for n, line in enumerate(text.splitlines())
    ).encode(),
    "blanks": lambda text: text.replace(",", " ").encode(),
    "directive of Excel": lambda text: b"sep=;\r\n" + text.replace(",", ";").replace("\n", "\r\n").encode(),
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "UTF-16 with tabs": lambda text: text.replace(",", "\t").encode("utf-16"),
    "carriage returns": lambda text: text.replace("\n", "\r").encode(),
    "CR and LF": lambda text: text.replace("\n", "\r\n").encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "quotes": lambda text: "".join(f'"{line.replace(",", chr(34) + "," + chr(34))}"\n' for line in text.splitlines()).encode(),
    "blank lines": lambda text: text.replace("\n", "\n\n,\n").encode(),
    "commas at the end": lambda text: text.replace("\n", ",\n").encode(),
    "header with blanks and capitals": lambda text: text.replace("path,label", " Path , LABEL").encode(),
    "index of pandas": lambda text: "".join(
        f"{n - 1 if n else ''},{line}\n" for n, line in enumerate(text.splitlines())
    ).encode(),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_is_read_as_the_plain_index(petals, take, text, dialect):
    (petals / "plain.csv").write_text(text)
    (petals / "other.csv").write_bytes(DIALECTS[dialect](text))
    data = take(f"csv:{petals}/other.csv")
    assert (data.images, data.rejected, data.hash) == (20, {}, take(f"csv:{petals}/plain.csv").hash)


@pytest.mark.parametrize(
    ("dialect", "said"),
    [
        ("semicolons", "other.csv: the columns are separated by semicolons"),
        ("UTF-16", "other.csv: is not UTF-8; read as utf-16"),
        ("header with blanks and capitals", "other.csv: the column 'Path' is read as 'path'"),
    ],
)
def test_what_was_assumed_is_logged(petals, take, text, caplog, dialect, said):
    caplog.set_level("INFO", "itm")
    (petals / "other.csv").write_bytes(DIALECTS[dialect](text))
    take(f"csv:{petals}/other.csv")
    assert said in caplog.text


def test_letters_of_windows_are_read(petals, take, text, caplog):
    (petals / "other.csv").write_bytes(text.replace(",rose", ",chi\u00e9n").encode("cp1252"))
    assert take(f"csv:{petals}/other.csv").target.names == ("chi\u00e9n", "daisy")
    assert "other.csv: is not UTF-8; read as cp1252 (Windows). If names of classes look wrong, save it as UTF-8" in caplog.text


def test_decimal_commas_are_read_where_no_comma_separates(petals, take):
    rows = [f"{path.relative_to(petals)}\t{number},{number % 2}5" for number, path in enumerate(sorted(petals.rglob("*.png")))]
    data = take(f"csv:{_write(petals, chr(10).join(['path' + chr(9) + 'target', *rows]))}?task=regression")
    assert (data.images, data.target.facts["lowest"], data.target.facts["highest"]) == (20, 0.05, 19.15)


def test_a_cell_may_hold_line_ends_and_separators(petals, take, text):
    (petals / "other.csv").write_text(text.replace(",rose", ',"rose,\nred"'))
    assert take(f"csv:{petals}/other.csv").target.names == ("daisy", "rose,\nred")


def test_a_row_with_too_many_cells_is_rejected_by_line(petals, take, text):
    (petals / "other.csv").write_text(text.replace("00.png,daisy", "00.png,daisy, small"))
    data = take(f"csv:{petals}/other.csv")
    (reason,) = read_index(data).filter(status="rejected")["reason"]
    assert reason == "row 1 has 3 cells instead of 2 (line 2); put a cell that holds a separator into quotation marks"
    assert (data.images, data.rejected) == (19, {"too many cells": 1})


def test_a_row_with_too_few_cells_or_no_path_is_rejected(petals, take, text):
    data = take(f"csv:{_write(petals, text + 'daisy/x.png' + chr(10) + ',rose' + chr(10))}")
    reasons = read_index(data).filter(status="rejected")["reason"].to_list()
    assert sorted(reasons) == ["row 21 has no label (line 22)", "row 22 has no path (line 23)"]


def _write(petals, content):
    path = petals / "other.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04rest", "is an Excel workbook or a zip archive; save it as CSV"),
        (b"PAR1rest", "is a Parquet file; write parquet: instead of csv:"),
        (b"\x1f\x8bbroken", "its compression by gzip is damaged"),
        (b'[{"path": "a.png", "label": "x"}]', "is JSON; write its rows as CSV or Parquet"),
        (
            "path,label\nä.png,ö\nü.png,ß\n".encode() + b"\xe4.png,x\n",
            r"line 4 cannot be read as UTF-8; save the file as UTF-8",
        ),
        (b"\xff\xfep", "is neither UTF-8 nor utf-16; save it as UTF-8"),
        (b"path,label\n\x81\x8d,a\n", "is neither UTF-8 nor cp1252; save it as UTF-8"),
        ('path,label\na.png,x\n"b.png,y\nc.png,z\n', "the row that begins in line 3 do not match"),
        ("path,label,label\na.png,x,y\n", "2 columns are named 'label'; rename all but one"),
        ("cat/1.png,cat\ncat/2.png,cat\n", "the first line is a row and no header; .* names: path,label"),
        (
            "filename,label\na.png,x\n",
            r"no column 'path'.* Found: filename, label; .* Write \?path=filename if that is the column\.",
        ),
        (
            "File Name;class\na.png;x\n",
            r"no column 'path' and no column 'label'.* Write \?path=File%20Name&target=class if those are the columns\.",
        ),
        ("my image file,kind\na.png,x\n", r"Found: my image file, kind; .* with \?path=COLUMN, \?target=COLUMN"),
        ("path,label,split\na.png,x,tset\n", r"row 1 has the split 'tset' \(line 2\); did you mean 'test'"),
        ("\n\n", "is empty; write a first line"),
    ],
)
def test_what_is_no_index_names_the_fix(petals, take, content, words):
    with pytest.raises(DataError, match=words) as caught:
        take(f"csv:{_write(petals, content)}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            pl.DataFrame({"path": ["a"], "label": [[0.5, 1.5]]}),
            r"the column 'label' has the type List\(Float64\); it must hold text",
        ),
        (pl.DataFrame({"path": [b"a"], "label": ["x"]}), "the column 'path' has the type Binary"),
        (pl.DataFrame({"path": [{"bytes": "a"}], "label": ["x"]}), "the column 'path' has the type Struct"),
        (pl.DataFrame({"image": ["a"], "label": ["x"]}), "no column 'path'"),
    ],
)
def test_a_parquet_index_of_other_types_is_named(tmp_path, take, table, words):
    table.write_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match=words):
        take(f"parquet:{tmp_path}/other.parquet")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"path,label\n", "is no Parquet file; write csv: for a text file"), (b"PAR1 and no more", "is damaged")],
)
def test_a_file_that_is_no_parquet_is_named(tmp_path, take, content, words):
    (tmp_path / "other.parquet").write_bytes(content)
    with pytest.raises(DataError, match=words):
        take(f"parquet:{tmp_path}/other.parquet")


def test_an_index_that_may_not_be_read_is_named(petals, take, text, monkeypatch):
    path = _write(petals, text)

    def refuse(_):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"other\.csv: cannot be read \(Permission denied\)"):
        take(f"csv:{path}")


def test_columns_have_any_name(petals, take, text):
    (petals / "other.csv").write_text(
        text.replace("path,label", "file name,set").replace(",daisy", ",train").replace(",rose", ",val")
    )
    data = take(f"csv:{petals}/other.csv?path=file%20name&target=set")
    assert data.target.names == ("train", "val")


def test_the_lines_of_rows_count_blank_lines(tmp_path):
    (tmp_path / "a.csv").write_text('path,label\n\n"a\nb",x\n\nc,y\n')
    assert read_cells(tmp_path / "a.csv", lambda header: "path" in header).lines == [4, 6]
