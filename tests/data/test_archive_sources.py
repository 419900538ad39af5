"""Zip and tar files of class folders are read where they are, and nothing is written outside the store."""

import gzip
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from itm.core.errors import DataError
from itm.data import pixels
from itm.data.archives.opened import open_archive
from itm.data.index import read_index
from itm.data.sources.parse import parse_source
from tests.data.archives import add, pack

REAL = Path(__file__).resolve().parents[3] / "shared" / "real" / "sets"
KINDS = ("zip", "tar", "tar.gz", "tar.xz", "tgz", "tar.bz2")


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_is_read_like_its_folder(kind, tmp_path, members, petals, take):
    path = pack(tmp_path / f"blossoms.{kind}", members)
    data = take(path)
    assert (data.name, data.images, data.rejected) == ("blossoms", 20, {})
    assert data.hash == take(petals).hash
    open_image = parse_source(data.source).source.open
    location = read_index(data)["path"][0]
    assert location.endswith(f"{'.zip' if kind == 'zip' else '.tar'}!daisy/00.png")
    with open_image(location) as stream:
        assert stream.read() == members["daisy/00.png"]


def test_splits_wrappers_and_clutter_of_an_archive_are_read_like_those_of_a_folder(tmp_path, members, take):
    inside = {f"photos/{'train' if int(name[-6:-4]) < 14 else 'test'}/{name}": content for name, content in members.items()}
    clutter = {"__MACOSX/photos/train/daisy/._00.png": b"x", "photos/train/daisy/._00.png": b"x", "photos/.DS_Store": b"x"}
    data = take(pack(tmp_path / "petals.zip", {**inside, **clutter, "photos/readme.txt": b"x"}))
    assert (data.images, data.rejected) == (20, {})
    assert read_index(data)["split"].value_counts().sort("split").rows() == [("test", 6), ("train", 14)]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_members_that_lead_outside_are_rejected_and_nothing_is_written(kind, tmp_path, members, take):
    bad = ["../evil.png", "/evil.png", "rose/../../evil.png", "C:/evil.png"]
    inner = tmp_path / "inner"
    inner.mkdir()
    path = pack(inner / f"petals.{kind}", members | dict.fromkeys(bad, members["rose/01.png"]))
    before = {*tmp_path.rglob("*")}
    data = take(path)
    assert (data.images, data.rejected) == (20, {"outside the folder": 4})
    rows = read_index(data).filter(status="rejected")
    assert sorted(row.partition("!")[2] for row in rows["path"]) == sorted(bad)
    assert set(rows["reason"]) == {"its name is an absolute path", "its name leads out of the archive"}
    written = {*tmp_path.rglob("*")} - before
    assert not [path for path in written if path.name == "evil.png"]
    assert not Path("/evil.png").exists()


def test_links_of_a_tar_are_followed_inside_and_rejected_outside(tmp_path, members, take, petals):
    path = tmp_path / "petals.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            add(archive, f".blobs/{name.replace('/', '-')}", content)
        for name in members:
            add(archive, f"classes/{name}", type=tarfile.SYMTYPE, linkname=f"../../.links/{name}")
        for name in members:  # as git-annex and Kubernetes do: a link to a later link
            add(archive, f".links/{name}", type=tarfile.SYMTYPE, linkname=f"../../.blobs/{name.replace('/', '-')}")
        add(archive, "classes/rose/loop.png", type=tarfile.SYMTYPE, linkname="loop.png")
        add(archive, "classes/rose/passwd.png", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(archive, "classes/rose/out.png", type=tarfile.SYMTYPE, linkname="../../../out.png")
        add(archive, "classes/rose/pipe.png", type=tarfile.FIFOTYPE)
    data = take(path)
    assert (data.images, data.hash) == (20, take(f"unpacked={petals}").hash)
    assert data.rejected == {"outside the folder": 3, "unsupported": 1}
    rejected = read_index(data).filter(status="rejected", rejection="outside the folder")
    assert {Path(row).name for row in rejected["path"]} == {"passwd.png", "out.png", "loop.png"}


def test_names_may_hold_the_mark_of_a_location(tmp_path, members, take):
    inside = {name.replace("rose/", "wow!/"): content for name, content in members.items()}
    data = take(pack(tmp_path / "new!" / "red!petals.zip", inside))
    open_image = parse_source(data.source).source.open
    rows = read_index(data).filter(target="wow!").sort("path")
    assert len(rows) == 10
    with open_image(rows["path"][0]) as stream:
        assert stream.read() == members["rose/01.png"]


def test_bad_members_are_rejected_with_a_reason(tmp_path, members, take, monkeypatch):
    monkeypatch.setattr("itm.data.archives.members.LARGEST", 5000)
    path = pack(tmp_path / "petals.zip", members | {"rose/bomb.png": b"\0" * 5001, "rose/text.png": b"text"})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("rose/01.png", members["rose/01.png"])
    content = bytearray(path.read_bytes())
    place = content.rfind(b"PK\x01\x02", 0, content.rfind(b"rose/03.png"))
    content[place + 8] |= 1  # encrypted
    path.write_bytes(content)
    data = take(path)
    assert data.images == 19
    reasons = dict(read_index(data).filter(status="rejected").select("path", "reason").rows())
    reasons = {path.partition("!")[2]: reason for path, reason in reasons.items()}
    assert reasons["rose/bomb.png"].startswith("too large: 5,001 bytes")
    assert reasons["rose/01.png"] == "a later member of the archive has the same name and is used"
    assert reasons["rose/03.png"].startswith("unreadable: encrypted; unpack the archive")
    assert reasons["rose/text.png"].startswith("not an image")


def test_a_compressed_bomb_is_not_unpacked(tmp_path, members, take, monkeypatch, store):
    monkeypatch.setattr("itm.data.archives.members.LARGEST", 10_000)
    monkeypatch.setattr("itm.data.archives.unpacked.LARGEST", 10_000)
    path = pack(tmp_path / "petals.tar.gz", {"rose/bomb.png": b"\0" * 3_000_000} | members)
    data = take(path)
    assert (data.images, data.rejected) == (20, {"too large": 1})
    (copy,) = store.unpacked.rglob("*.tar")
    assert copy.stat().st_size < 100_000


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("zip", r"petals\.zip: is no zip file or is damaged"),
        ("tar", r"petals\.tar: it cannot be read to its end \(unexpected end of data\); copy or download it again"),
        ("tar.gz", r"petals\.tar\.gz: is truncated or damaged"),
        ("tar.xz", r"petals\.tar\.xz: is truncated or damaged"),
    ],
)
def test_a_truncated_archive_is_refused_and_leaves_nothing(kind, words, tmp_path, members, take, store):
    path = pack(tmp_path / f"petals.{kind}", members)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 - 100])
    with pytest.raises(DataError, match=words):
        take(path)
    assert not [*store.root.rglob("*.tar"), *store.root.rglob("*.parquet")]


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz"])
@pytest.mark.parametrize(("damage", "words"), [("cut", "truncated header"), ("changed", "bad checksum")])
def test_a_damaged_header_is_refused(kind, damage, words, tmp_path, members, take):
    plain = pack(tmp_path / "plain.tar", members)
    with tarfile.open(plain) as tar:
        start = tar.getmembers()[-4].offset
    content = bytearray(plain.read_bytes())
    content[start + 1] ^= 1
    content = content[: start + 100] if damage == "cut" else content
    path = tmp_path / f"petals.{kind}"
    path.write_bytes({"tar": bytes, "tar.gz": gzip.compress, "tar.xz": lzma.compress}[kind](content))
    with pytest.raises(DataError, match=rf"petals.{kind}: .*(to its end|damaged) \({words}\); copy or download it again"):
        take(path)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("name", ["photos//{}", "photos/./{}", ".//photos/{}", "./photos/.//{}"])
def test_names_with_empty_parts_are_read(kind, name, tmp_path, members, take):
    inside = {name.format(member) if member.startswith("rose") else f"photos/{member}": members[member] for member in members}
    data = take(pack(tmp_path / f"petals.{kind}", inside))
    assert (data.target.names, data.images, data.rejected) == (("daisy", "rose"), 20, {})
    with parse_source(data.source).source.open(read_index(data).filter(target="rose")["path"].sort()[0]) as stream:
        assert stream.read() == members["rose/01.png"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_folders_with_empty_parts_are_read(kind, tmp_path):
    folders = ["./", "photos//", "photos/./rose/", "/etc//"]
    path = pack(tmp_path / f"petals.{kind}", {"photos/daisy/1.png": b"image"})
    if kind == "zip":
        with zipfile.ZipFile(path, "a") as archive:
            for name in folders:
                archive.writestr(name, b"")
    else:
        with tarfile.open(path, "a") as archive:
            for name in folders:
                add(archive, name, type=tarfile.DIRTYPE)
    found = open_archive(path)
    assert (found.names, found.folders) == (["photos/daisy/1.png"], ["photos", "photos/rose"])


def test_zstd_is_named_with_the_fix(tmp_path, take):
    (tmp_path / "petals.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd content")
    with pytest.raises(DataError, match=r"zst: is compressed by zstd, which is not read; unpack it \(unzstd petals.tar.zst\)"):
        take(f"tar:{tmp_path / 'petals.tar.zst'}")


def test_names_that_are_not_utf8_are_read_or_rejected(tmp_path, members, take):
    path = pack(tmp_path / "petals.zip", {name.replace("rose", "ros\u00e9"): content for name, content in members.items()})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag that says UTF-8
        place = content.find(mark)
        while place >= 0:
            content[place + offset + 1] &= ~0x8
            place = content.find(mark, place + 4)
    path.write_bytes(content)
    assert take(path).target.names == ("daisy", "ros\u00e9")
    tar = pack(tmp_path / "other.tar", members | {os.fsdecode(b"rose/\xe9.png"): members["rose/01.png"]})
    data = take(tar)
    assert (data.images, data.rejected) == (20, {"unreadable": 1})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("zip:{petals}", "is a folder, not an archive; write folder:"),
        ("zip:nothing.zip", "no such file; check the path"),
        ("zip:{text}", "is no zip file or is damaged|is no tar file"),
        ("{rar}", "is an archive of a kind that is not read; unpack it"),
        ("nothing.tar.gz", "there is no such archive; check the path"),
    ],
)
def test_what_is_no_archive_is_named(source, words, tmp_path, petals, take):
    (tmp_path / "text.zip").write_text("text")
    (tmp_path / "a.rar").write_text("text")
    names = {"petals": petals, "text": tmp_path / "text.zip", "rar": tmp_path / "a.rar"}
    with pytest.raises(DataError, match=words):
        take(source.format(**names))


def test_an_image_of_an_archive_that_changed_is_told(tmp_path, members, take):
    path = pack(tmp_path / "petals.zip", members)
    data = take(path)
    location, id_ = read_index(data).select("path", "id").row(0)
    open_image = parse_source(data.source).source.open
    pack(path, dict.fromkeys(members, members["rose/01.png"]))
    with pytest.raises(DataError, match="changed after it was ingested; ingest again"):
        pixels.open_verified(location, id_, open_image)
    path.unlink()
    with pytest.raises(DataError, match="can no longer be read"):
        pixels.open_verified(location, id_, open_image)


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is missing: the real images are not part of the repository")
def test_real_photographs_in_an_archive_are_those_of_the_folder(tmp_path, take):
    paths = [path for folder in sorted((REAL / "flowers5").iterdir()) for path in sorted(folder.iterdir())[:6]]
    for path in paths:
        copy = tmp_path / "flowers" / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    inside = {f"flowers/{path.parent.name}/{path.name}": path.read_bytes() for path in paths}
    hashes = {take(pack(tmp_path / f"all.{kind}", inside)).hash for kind in ("zip", "tar", "tar.xz")}
    assert hashes == {take(tmp_path / "flowers").hash}
