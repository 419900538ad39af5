"""Images that cannot be used are rejected with a reason, and images with the same bytes never count twice."""

import os
import struct
import subprocess
import sys
import zlib
from collections import Counter

from PIL import Image

from itm.data.index import read_index


def _png_promise(width: int, height: int) -> bytes:
    """Return a PNG that promises pixels and holds none, so decoding it would find it truncated."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _bad(data):
    rows = read_index(data).filter(status="rejected").select("path", "rejection", "reason").rows()
    return {os.path.basename(path): (kind, reason) for path, kind, reason in rows}  # noqa: PTH119


def test_bad_files_are_rejected_with_their_reason(petals, paint, take, caplog):
    rose = petals / "rose"
    whole = paint(petals.parent / "whole.jpg", 60, side=64).read_bytes()
    (rose / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (rose / "cut.png").write_bytes((rose / "01.png").read_bytes()[:-60])
    (rose / "empty.png").touch()
    (rose / "note.txt").write_text("no image")
    (rose / "bomb.png").write_bytes(_png_promise(60_000, 60_000))
    (rose / "large.png").write_bytes(_png_promise(10_000, 12_000))
    (rose / "hollow.png").write_bytes(_png_promise(10, 12))
    (rose / "broken.png").symlink_to("nowhere.png")
    (rose / "loop.png").symlink_to("loop.png")
    os.mkfifo(rose / "pipe.png")
    data = take(petals)
    kinds = {name: kind for name, (kind, _) in _bad(data).items()}
    assert kinds == {
        "cut.jpg": "truncated or damaged",
        "cut.png": "truncated or damaged",
        "empty.png": "empty",
        "note.txt": "not an image",
        "bomb.png": "too large",
        "large.png": "too large",
        "hollow.png": "truncated or damaged",
        "broken.png": "missing",
        "loop.png": "unreadable",
        "pipe.png": "unreadable",
    }
    end = "pixels; the limit is 89,478,485; make the image smaller"
    assert _bad(data)["bomb.png"][1] == f"too large: 3,600,000,000 {end}"
    assert _bad(data)["large.png"][1] == f"too large: 10000 x 12000 {end}"
    assert data.images == 20
    assert data.rejected == Counter(kinds.values())
    assert caplog.messages == [
        f"petals: rejected 10 of 30 images: 1 empty, 1 missing, 1 not an image, 2 too large, 3 truncated or damaged, "
        f"2 unreadable; first: {rose}/cut.jpg: {_bad(data)['cut.jpg'][1]}; see {data.index}"
    ]


def test_known_images_are_not_decoded_again(petals, take, monkeypatch):
    first = take(petals)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert take(petals) == first
    Image.new("RGB", (12, 12)).save(petals / "rose" / "new.png")
    assert take(petals).rejected == {"too large": 1}


def test_the_same_bytes_twice_in_a_class_count_once(petals, take):
    (petals / "rose" / "00-copy.png").write_bytes((petals / "rose" / "05.png").read_bytes())
    data = take(petals)
    kept = petals / "rose" / "00-copy.png"
    assert _bad(data) == {"05.png": ("duplicate", f"duplicate of {kept}")}
    assert data.images == 20


def test_the_same_bytes_under_two_labels_are_not_used(petals, take):
    (petals / "rose" / "x.png").write_bytes((petals / "daisy" / "04.png").read_bytes())
    data = take(petals)
    reason = ("conflicting labels", "same bytes are labelled daisy and rose")
    assert _bad(data) == {"04.png": reason, "x.png": reason}
    assert data.images == 19


def test_the_same_bytes_in_two_splits_stay_on_the_evaluation_side(tmp_path, paint, take, caplog):
    for part, name in enumerate(("train", "val", "test")):
        for number in range(8):
            paint(tmp_path / "set" / name / "ab"[number % 2] / f"{name}{number}.png", 100 * part + number)
    train, val, test = (tmp_path / "set" / name / "a" for name in ("train", "val", "test"))
    (train / "t.png").write_bytes((test / "test0.png").read_bytes())
    (val / "v.png").write_bytes((test / "test0.png").read_bytes())
    (train / "u.png").write_bytes((val / "val2.png").read_bytes())
    data = take(tmp_path / "set")
    kind = "duplicate in another split"
    assert _bad(data) == {
        "t.png": (kind, f"duplicate of {test / 'test0.png'}"),
        "v.png": (kind, f"duplicate of {test / 'test0.png'}"),
        "u.png": (kind, f"duplicate of {val / 'val2.png'}"),
    }
    assert "3 duplicate in another split" in caplog.text
    assert data.images == 24


def test_opening_images_needs_no_heavy_imports():
    code = "import sys, itm.data.pixels; print(sorted({'polars', 'torch', 'sklearn', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
