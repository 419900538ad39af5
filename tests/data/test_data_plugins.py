"""Sources of other packages: registered, named if they fail to load, and ranked on like the built-in ones."""

from dataclasses import dataclass
from types import ModuleType
from zipfile import ZipFile

import polars as pl
import pytest

from itm.core.errors import DataError
from itm.data.index import describe_changes
from itm.data.sources import base, parse
from itm.data.sources.folder import Folder
from itm.data.sources.parse import parse_source
from tests.plugins.zipped import Zipped


@dataclass
class Entry:
    """What importlib says of an entry point."""

    name: str
    value: str
    loads: object

    def load(self):
        if isinstance(self.loads, Exception):
            raise self.loads
        return self.loads


@pytest.fixture
def plug_in(monkeypatch):
    """Return a function that makes entry points known; afterwards only the built-in sources are."""
    built_in = dict(base.sources)

    def add(*entries):
        monkeypatch.setattr(parse, "entry_points", lambda group: entries if group == "itm.sources" else ())
        parse.known_sources.cache_clear()

    yield add
    base.sources.clear()
    base.sources.update(built_in)
    parse.known_sources.cache_clear()


@pytest.fixture
def archive(petals, tmp_path):
    """Return a zip file of twenty images of two classes, and a text."""
    path = tmp_path / "petals.zip"
    with ZipFile(path, "w") as archive:
        for image in sorted(petals.rglob("*.png")):
            archive.write(image, image.relative_to(petals))
        archive.writestr("rose/note.txt", "no image")
    return path


def test_two_sources_of_one_scheme_are_refused(plug_in):
    plug_in()
    other = type("Other", (Folder,), {"usage": "folder:OTHER"})
    with pytest.raises(ValueError, match="two sources have the scheme 'folder'"):
        base.register_source(other)
    assert base.sources["folder"] is Folder
    assert base.register_source(Folder) is Folder


@pytest.mark.parametrize(
    ("loads", "error"),
    [
        (ModuleNotFoundError("No module named 'boto3'"), "ModuleNotFoundError: No module named 'boto3'"),
        (RuntimeError("at import"), "RuntimeError: at import"),
        (type("Digits", (Folder,), {"scheme": "digits"}), "ValueError: two sources have the scheme 'digits'"),
        (dict, "TypeError: <class 'dict'> is not a subclass of itm.data.sources.base.Source"),
    ],
)
def test_a_plug_in_that_cannot_be_loaded_is_named_and_left_out(plug_in, caplog, loads, error):
    plug_in(Entry("bucket", "itm_bucket:Bucket", loads), Entry("zipped", "itm_zipped:Zipped", Zipped))
    assert parse_source("digits").name == "digits"
    assert isinstance(parse_source("zipped:petals.zip").source, Zipped)
    (message,) = caplog.messages
    assert message == f"the source 'bucket' of itm_bucket:Bucket cannot be loaded: {error}"


def test_an_entry_point_may_name_a_module_that_registers_its_source(plug_in):
    plug_in(Entry("bytes", "itm_bytes", ModuleType("itm_bytes")))
    base.register_source(type("Bytes", (Zipped,), {"scheme": "bytes"}))
    assert parse_source("bytes:petals.zip").name == "petals"


def test_images_need_not_be_local_files(plug_in, take, archive, petals, store):
    plug_in(Entry("zipped", "itm_zipped:Zipped", Zipped))
    data = take(f"zipped:{archive}")
    assert (data.name, data.images, data.rejected) == ("petals", 20, {"not an image": 1})
    assert data.hash == take(f"unzipped={petals}").hash
    assert take(f"grouped=zipped:{archive}?groups=1").groups == 2
    assert describe_changes(f"zipped:{archive}", False, store) == ""
    with pytest.raises(DataError, match=r"nothing\.zip: cannot be read as a zip file"):
        take("zipped:nothing.zip")


def test_changed_files_of_a_plug_in_are_told(plug_in, take, archive, store):
    plug_in(Entry("zipped", "itm_zipped:Zipped", Zipped))
    source = f"zipped:{archive}"
    index = pl.read_parquet(take(source).index)
    index.head(10).write_parquet(store.index("petals"))
    assert describe_changes(source, False, store).startswith("11 files new;")
