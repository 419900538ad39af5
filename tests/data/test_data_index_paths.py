"""Paths of an index: the usual spellings are read, the root bounds what is read, and a missing image gets a likely cause."""

import unicodedata

import pytest

from itm.core.errors import DataError
from itm.data.index import read_index

CAFE = "caf\u00e9"


@pytest.fixture
def write(petals):
    """Return a function that writes an index with changed paths of the petals, and returns its source."""

    def call(change, where=petals, options=""):
        rows = [f'"{change(path.relative_to(petals).as_posix())}",{path.parent.name}' for path in sorted(petals.rglob("*.png"))]
        where.mkdir(exist_ok=True)
        (where / "index.csv").write_text("\n".join(["path,label", *rows]) + "\n")
        return f"csv:{where}/index.csv{options}"

    return call


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.replace("/", "\\"),
        lambda path: f".\\{path}".replace("/", "\\"),
        lambda path: f"{path} ",
        lambda path: f"./{path}",
        lambda path: f"../petals/{path}",
    ],
)
def test_other_spellings_of_a_path_are_read(take, write, change):
    data = take(write(change))
    assert (data.images, data.rejected) == (20, {})


def test_another_spelling_is_logged(take, write, caplog):
    caplog.set_level("INFO", "itm")
    take(write(lambda path: path.replace("/", "\\")))
    assert "index.csv: 20 paths read with slashes instead of backslashes" in caplog.text


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_unicode_forms_of_a_path_are_one_path(petals, take, on_disk):
    (petals / "rose").rename(petals / unicodedata.normalize(on_disk, CAFE))
    paths = [path.relative_to(petals) for path in sorted(petals.rglob("*.png"))]
    other = "NFD" if on_disk == "NFC" else "NFC"
    rows = [unicodedata.normalize(other, f"{path},{path.parent.name[0]}") for path in paths]
    (petals / "index.csv").write_text("\n".join(["path,label", *rows]))
    assert take(f"csv:{petals}/index.csv").images == 20


def test_a_name_with_a_backslash_or_a_blank_is_taken_as_it_is(petals, take):
    for name in ("a\\b.png", " c.png "):
        (petals / "rose" / "01.png").rename(petals / "rose" / name)
        (petals / "index.csv").write_text(f"path,label\nrose/{name},x\nrose/03.png,x\nrose/05.png,y\nrose/07.png,y\n")
        assert take(f"csv:{petals}/index.csv").images == 4
        (petals / "rose" / name).rename(petals / "rose" / "01.png")


def test_a_root_allows_images_outside_the_folder_of_the_index(petals, take, write):
    for change in (lambda path: f"{petals}/{path}", lambda path: f"../petals/{path}", lambda path: f"file://{petals}/{path}"):
        source = write(change, petals.parent / "lists")
        with pytest.raises(
            DataError, match=r"none of the images can be used\. Rejected: 20 outside the folder; first: .*"
        ) as caught:
            take(source)
        assert f"write ?root={petals}" in str(caught.value) or "file://" in str(caught.value)
        data = take(f"{source}?root={petals}")
        assert (data.images, data.rejected) == (20, {})


def test_relative_paths_are_below_the_root_first(petals, take, write):
    source = write(lambda path: path, petals.parent / "lists")
    assert take(f"{source}?root={petals}").images == 20
    nested = write(lambda path: path, options=f"?root={petals.parent}")
    assert take(nested).images == 20


def test_nothing_outside_the_root_is_read(petals, paint, take, write):
    private = paint(petals.parent / "private" / "1.png", 71)
    source = write(lambda path: f"{petals}/{path}", petals.parent / "lists")
    with (petals.parent / "lists" / "index.csv").open("a") as stream:
        stream.write(f"{private},rose\n../private/1.png,rose\n{petals}/../private/1.png,rose\n")
    data = take(f"{source}?root={petals}")
    bad = read_index(data).filter(status="rejected")
    assert (data.rejected, bad["id"].null_count()) == ({"outside the folder": 3}, 3)
    assert set(bad["reason"]) == {f"outside the root {petals}; write ?root={petals.parent}"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("C:\\data\\1.png", "an absolute path of Windows; write paths relative to the folder of the index"),
        ("\\\\server\\share\\1.png", "an absolute path of Windows"),
        ("https://example.org/1.png", "an address, not a file; download the image"),
        ("s3://bucket/1.png", "an address, not a file"),
        ("/nowhere/1.png", "outside the folder of the index; name the folder of all images with ?root=FOLDER"),
    ],
)
def test_a_path_that_is_not_local_is_rejected_with_the_fix(petals, take, write, given, words):
    source = write(lambda path: path)
    with (petals / "index.csv").open("a") as stream:
        stream.write(f"{given},rose\n")
    (reason,) = read_index(take(source)).filter(status="rejected")["reason"]
    assert reason.startswith(words)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda path: path.capitalize().replace(".png", ".PNG"), "the capitals differ: there is 'daisy/00.png'"),
        (lambda path: path.upper(), "the capitals differ: there is 'daisy/00.png'"),
        (lambda path: path.replace(".png", ".jpg"), "the suffix differs: there is 'daisy/00.png'"),
        (lambda path: path.replace(".png", ""), "there is 'daisy/00.png'"),
        (lambda path: f"petals/{path}", "there is 'daisy/00.png'; leave out 'petals', or write ?root="),
        (lambda path: f"data/{path}", "there is 'daisy/00.png'; leave out 'data'"),
        (lambda path: f"nothing/{path[-6:]}", "looked for "),
    ],
)
def test_a_missing_image_gets_a_likely_cause(take, write, change, cause):
    with pytest.raises(DataError, match=r"none of the images can be used\. Rejected: 20 missing; first: ") as caught:
        take(write(change))
    assert cause in str(caught.value)


@pytest.mark.parametrize("moved", ["/old/data/petals/", "C:\\\\data\\\\", "s3://bucket/petals/"])
def test_paths_of_another_machine_get_the_part_to_leave_out(take, write, moved):
    with pytest.raises(DataError, match="Rejected: 20 outside the folder") as caught:
        take(write(lambda path: f"{moved}{path}"))
    assert f"there is 'daisy/00.png'; leave out '{moved.replace(chr(92) * 2, '/').replace('//', '/').rstrip('/')}'" in str(
        caught.value
    )


def test_the_folder_of_missing_images_is_suggested_as_root(petals, take, write):
    source = write(lambda path: path, petals.parent / "lists")
    with pytest.raises(DataError, match=r"first: .*daisy/00\.png: missing: no such file"):
        take(source)
    inside = write(lambda path: path, petals.parent)
    with pytest.raises(DataError) as caught:
        take(inside)
    assert f"it is in {petals}; write ?root={petals}" in str(caught.value)


def test_a_root_that_is_no_folder_is_named(take, write):
    with pytest.raises(DataError, match="the root nothing is no folder; check the path, which is relative to"):
        take(write(lambda path: path, options="?root=nothing"))


def test_a_folder_name_with_a_plus_sign_can_be_a_root(petals, take):
    root = petals.rename(petals.with_name("c++ & more"))
    (root / "index.csv").write_text(
        "path,label\n" + "".join(f"{p.relative_to(root)},{p.parent.name}\n" for p in root.rglob("*.png"))
    )
    assert take(f"csv:{root}/index.csv?root={str(root).replace('&', '%26')}").images == 20


def test_a_suggested_root_can_be_copied(petals, take):
    root = petals.rename(petals.with_name("50% & more? yes"))
    rows = "".join(f"{path},{path.parent.name}\n" for path in root.rglob("*.png"))
    lists = petals.parent / "lists"
    lists.mkdir()
    (lists / "index.csv").write_text(f"path,label\n{rows}")
    with pytest.raises(DataError, match=r"write \?root=") as caught:
        take(f"csv:{lists}/index.csv")
    suggested = str(caught.value).partition("write ")[2].partition(".")[0]
    assert take(f"csv:{lists}/index.csv{suggested}").images == 20
