"""One run of the command with everything broken that can be: the rest is ranked, and each failure says what to do."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from itm.store.files import read_table
from itm.store.layout import Store
from itm.store.ranking_file import read_ranking

pytestmark = pytest.mark.slow

LONG, TEXTURES = "test_resnet.drawn_long", "test_efficientnet.textures"


def _noise(number: int) -> Image.Image:
    """Return noise around one of two shades of grey, so that there is something to learn."""
    shade = 200 if number % 2 else 60
    return Image.fromarray(np.random.default_rng(number).integers(shade - 40, shade + 40, (32, 32, 3), dtype=np.uint8))


def _bomb() -> bytes:
    """Return a PNG of 65 bytes that promises 3.6 gigapixels."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


@pytest.fixture
def troubled(tmp_path: Path) -> Path:
    """Return a folder of two classes with images of every odd kind, and with files that are no whole images."""
    folder = tmp_path / "troubled"
    for number in range(24):
        path = folder / ("dark", "bright")[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        _noise(number).save(path)
    odd = folder / "dark"
    _noise(100).convert("CMYK").save(odd / "inks.jpg")
    _noise(102).convert("P").save(odd / "palette.png")
    Image.fromarray(np.random.default_rng(1).integers(0, 30_000, (32, 32)).astype(np.uint16)).save(odd / "deep.png")
    _noise(104).convert("RGBA").save(odd / "clear.png")
    _noise(106).save(odd / "moving.gif", save_all=True, append_images=[_noise(108), _noise(110)])
    exif = Image.Exif()
    exif[0x0112] = 6
    _noise(112).save(odd / "turned.jpg", exif=exif)
    (odd / "cut.jpg").write_bytes((odd / "turned.jpg").read_bytes()[:700])
    (odd / "empty.png").touch()
    (odd / "note.png").write_text("no image at all")
    (odd / "bomb.png").write_bytes(_bomb())
    return folder


@pytest.mark.servers
@pytest.mark.slow
def test_everything_broken_at_once_still_ranks_the_rest(troubled, zoo_file, tmp_path):
    weights = (zoo_file.parent / f"{LONG}.safetensors").read_bytes()
    (tmp_path / "corrupt.safetensors").write_bytes(weights[: len(weights) // 2])
    entries = [model for model in yaml.safe_load(zoo_file.read_text())["models"] if model["name"] in (LONG, TEXTURES)]
    entries = [entry | {"checkpoint": str(zoo_file.parent / entry["checkpoint"])} for entry in entries]
    corrupt = entries[0] | {"name": "corrupt", "checkpoint": "corrupt.safetensors"}
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump({"models": [*entries, corrupt]}))
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump({"store": "kept", "score": {"names": ["knn", "logme"], "rank_by": "knn"}})
    )
    offline = "test_vit.r160_in1k"
    models = [LONG, TEXTURES, "corrupt", "test_resnett", offline]
    command = [Path(sys.executable).parent / "itm", "rank", f"folder:{troubled}", "--zoo", "zoo.yaml", "--runner", "inline"]
    done = subprocess.run(
        [*command, *(word for model in models for word in ("--model", model))],
        cwd=tmp_path,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "no_weights_here")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "rejected 4 of 34 images: 1 empty, 1 not an image, 1 too large, 1 truncated or damaged" in done.stderr

    (results,) = (tmp_path / "kept" / "rankings").iterdir()
    store = Store(tmp_path / "kept", results.name)
    (data,) = read_ranking(store).data_sets
    assert data.images == 30
    assert {row.model for row in data.rows if row.status == "ranked"} == {LONG, TEXTURES}
    told = {
        "corrupt": ("corrupt.safetensors", "is damaged or not a weight file", "download it again"),
        "test_resnett": ("has no model 'test_resnett'; did you mean", "test_resnet"),
        offline: ("no_weights_here", "HF_HUB_OFFLINE is set", "hf download timm/test_vit.r160_in1k", "HF_HOME", "checkpoint"),
    }
    assert {row.model for row in data.rows if row.status == "failed"} == set(told)
    failed = dict(read_table(store.scores).filter(status="failed").select("model", "reason").rows())
    page = (store.reports / "index.html").read_text()
    for model, words in told.items():
        for word in words:
            assert word in failed[model]
            assert word in done.stdout
        assert model in page
        assert words[-1] in page
    assert "Failed at extract: corrupt" in done.stdout

    index = pl.read_parquet(store.index("troubled"))
    rejected = dict(index.filter(status="rejected").select(pl.col("path").str.split("/").list.last(), "rejection").rows())
    assert rejected == {
        "bomb.png": "too large",
        "cut.jpg": "truncated or damaged",
        "empty.png": "empty",
        "note.png": "not an image",
    }
