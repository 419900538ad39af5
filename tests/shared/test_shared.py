"""Machines without a common disk exchange what they computed, and what it is computed from, through a URL."""

import logging
import shutil
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import fsspec
import polars as pl
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from s3fs import S3FileSystem

from itm import pipeline
from itm.data import ingest, read_index
from itm.data.exchange import with_images_here
from itm.errors import ItmError, StoreError
from itm.extract import extract
from itm.feature_file import read_embeddings
from itm.params import DataParams, ExtractParams, Params, ScoreParams
from itm.scoring import score
from itm.shared import check_place, fetch, need, publish
from itm.store import Store
from itm.types import DataRef, Features, ModelRef, References
from itm.yaml_records import parse

MODELS = ["test_resnet.drawn_long", "test_efficientnet.textures"]
Embedded = Callable[[str], ModelRef]


class Bucket:
    """What lies in the bucket of a store, seen by another client."""

    def __init__(self, store: Store, address: str) -> None:
        assert store.shared
        self.name = store.shared.removeprefix("s3://").partition("/")[0]
        self.client = boto3.client("s3", endpoint_url=address)

    def key(self, end: str) -> str:
        """Return the key of the only object whose name ends so."""
        found = [one["Key"] for one in self.client.list_objects_v2(Bucket=self.name)["Contents"]]
        (key,) = [one for one in found if one.endswith(end)]
        return str(key)

    def get(self, end: str) -> bytes:
        """Return an object's bytes."""
        return bytes(self.client.get_object(Bucket=self.name, Key=self.key(end))["Body"].read())

    def put(self, end: str, content: bytes) -> None:
        """Replace an object's bytes."""
        self.client.put_object(Bucket=self.name, Key=self.key(end), Body=content)


class Cut(MemoryFileSystem):  # type: ignore[misc]
    """A file system whose connections end before a file has arrived, and say nothing."""

    protocol = "cut"
    store: dict[str, Any] = {}  # noqa: RUF012  (what it inherits would be that of memory://)
    pseudo_dirs = [""]  # noqa: RUF012

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        """Write the first half of a file."""
        content = self.cat_file(rpath)
        Path(lpath).write_bytes(content[: len(content) // 2])


@pytest.fixture
def contents(one: Store, s3_server: str) -> Bucket:
    """Return what lies in the bucket."""
    return Bucket(one, s3_server)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder of drawn images that only the first machine sees."""
    ingest("made:shapes?images=60", DataParams(), alone := Store(tmp_path / "drawn"))
    (folder,) = (alone.root / "raw").iterdir()
    return folder.rename(tmp_path / "images")


@pytest.fixture
def data(images: Path, one: Store) -> DataRef:
    """Return the images as the first machine ingests and sends them."""
    return ingest(f"folder:{images}", DataParams(), one)


@pytest.fixture
def resnet(embedded: Embedded) -> ModelRef:
    """Return a small embedded model."""
    return embedded(MODELS[0])


@pytest.fixture
def run(resnet: ModelRef) -> Callable[..., Features]:
    """Extract with some options on one of the machines."""

    def call(data: DataRef, store: Store, **params: Any) -> Features:
        return extract(resnet, data, ("train", "val"), ExtractParams.model_validate(params), store)

    return call


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the environment lead to an address where nobody listens."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    S3FileSystem.clear_instance_cache()
    yield
    S3FileSystem.clear_instance_cache()


def parameters(images: Path, zoo_file: Path, store: Store) -> Params:
    """Return parameters of a small ranking."""
    values = {
        "data": {"sets": [f"folder:{images}"]},
        "zoo": {"file": zoo_file, "models": MODELS},
        "score": {"names": ["itm", "knn"]},
        "store": store.root,
        "shared": store.shared,
    }
    return parse(values, Params, "test")


def leave(*machines: Path) -> None:
    """Take away all that lies on some machines."""
    for machine in machines:
        shutil.rmtree(machine)


def test_what_one_machine_computed_another_finds(images, zoo_file, one, other, caplog):
    """A second machine that ranks the same computes nothing and writes the same bytes."""
    caplog.set_level(logging.INFO, "itm")
    pipeline.run(parameters(images, zoo_file, one), one)
    assert "extracted 2 pairs (0 cached), computed 4 scores (0 cached)" in caplog.text
    pipeline.run(parameters(images, zoo_file, other), other)
    assert "extracted 0 pairs (2 cached), computed 0 scores (4 cached)" in caplog.text
    assert one.scores.read_bytes() == other.scores.read_bytes()
    assert not list(other.root.rglob("*-*.parquet"))  # the embeddings themselves were not needed
    assert "WARNING" not in caplog.text


def test_a_worker_computes_on_images_that_only_the_driver_saw(images, zoo_file, one, other, tmp_path):
    """Workers with neither index nor images take both from the shared place; the ranking is that of one machine."""
    alone = Store(tmp_path / "alone")
    params = parameters(images, zoo_file, one)
    pipeline.run(params, alone)
    planned = pipeline.plan(params, one)
    images.rename(images.with_name("elsewhere"))
    (data,) = planned.data_sets
    data.index.unlink()
    outcomes = [pipeline.run_pair(model, data, References(), params, other) for model in planned.models]
    assert "extracted 2 pairs (0 cached), computed 4 scores (0 cached), 0 pairs with failures" in pipeline.counts(outcomes)
    pipeline.conclude(planned, outcomes, params, one)
    assert one.scores.read_bytes() == alone.scores.read_bytes()


def test_workers_with_stores_elsewhere_hand_features_on(data, images, run, one, other, tmp_path, monkeypatch):
    """A worker's ITM_STORE holds what it makes; whoever scores its features finds them without that machine."""
    images.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("ITM_STORE", str(other.root))
    made = run(data, one)
    assert made.path.is_relative_to(other.root)
    leave(other.root)
    monkeypatch.setenv("ITM_STORE", str(tmp_path / "third"))
    scores, failures = score(made, ScoreParams(names=("itm", "knn")), one, references=References(untrained=made))
    assert (len(scores), failures) == (2, ())
    assert len(list((tmp_path / "third" / "cache" / "features").rglob("*.parquet"))) == 1
    assert not (one.root / "cache" / "scores").exists()


def test_features_that_are_nowhere_fail_their_scores_in_words(data, run, one, other):
    """What is neither here nor in the shared place is a failure a score, with both places in its reason."""
    made = run(data, replace(one, shared=None))
    leave(made.path.parent)
    scores, failures = score(made, ScoreParams(names=("itm", "knn")), other)
    assert (scores, len(failures)) == ((), 2)
    assert f"is not here and not in {one.shared}" in failures[0].reason


def test_what_is_here_alone_is_sent_when_it_is_asked_for(data, run, one, other):
    """Features that were computed before there was a shared place are sent by the next who finds them."""
    run(data, replace(one, shared=None))
    assert run(data, one).cached
    assert run(data, other).cached


def test_images_are_unpacked_once_however_many_ask(data, images, other):
    """Several processes of a machine may ask at the same time; all get all images."""
    images.rename(images.with_name("elsewhere"))
    rows = read_index(data).filter(status="ok")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: with_images_here(rows, data, other), range(4)))
    assert all(rows.equals(found[0]) for rows in found)
    assert all(Path(path).is_file() for path in found[0]["path"])
    assert sorted(path.name for path in other.exchanged(data.hash).iterdir()) == ["images", "images.lock"]


def test_a_truncated_object_is_computed_again_and_replaced(data, run, one, other, contents, caplog):
    """A feature file that lost its end counts as missing, is told of, and is whole again afterwards."""
    made = run(data, one)
    contents.put(made.path.name, contents.get(made.path.name)[:-1000])
    again = run(data, other)
    assert not again.cached
    assert f"{one.shared}/cache/features" in caplog.text
    assert (read_embeddings(again.path)[0] == read_embeddings(made.path)[0]).all()
    assert contents.get(made.path.name) == again.path.read_bytes()


def test_bytes_that_changed_never_get_the_name(data, run, one, other, contents, caplog):
    """A feature file of the right size whose embeddings changed is not taken."""
    made = run(data, one)
    changed = bytearray(contents.get(made.path.name))
    changed[len(changed) // 2] ^= 1
    contents.put(made.path.name, bytes(changed))
    assert not run(data, other).cached
    assert "counts as missing" in caplog.text


def test_a_download_that_ends_early_never_gets_the_name(tmp_path, caplog):
    """Fewer bytes than the place has are no file, and `need` says how many came."""
    fsspec.register_implementation("cut", Cut, clobber=True)
    sender, receiver = Store(tmp_path / "sender", shared="cut://place"), Store(tmp_path / "receiver", shared="cut://place")
    sent, path = sender.root / "cache" / "file", receiver.root / "cache" / "file"
    sent.parent.mkdir(parents=True)
    sent.write_bytes(bytes(1000))
    assert publish(sender, sent)
    assert not fetch(receiver, path)
    assert "500 of 1000 bytes arrived" in caplog.text
    with pytest.raises(StoreError, match="500 of 1000 bytes arrived"):
        need(receiver, path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("where", ["in the first name", "in a name", "in an image", "between images"])
def test_a_truncated_pack_is_no_images(data, images, run, other, contents, where):
    """A pack that lost its end, wherever, fails with what to do, and leaves no half of the images."""
    images.rename(images.with_name("elsewhere"))
    whole = contents.get("images.tar")
    with tarfile.open(fileobj=BytesIO(whole)) as pack:
        entry = pack.getmembers()[30]
    cuts = {"in the first name": 50, "in a name": entry.offset + 50, "in an image": entry.offset_data + 50}
    contents.put("images.tar", whole[: cuts.get(where, entry.offset)])
    with pytest.raises(StoreError, match=r"images.tar in the shared place is damaged .* remove it there and ingest again"):
        run(data, other)
    assert [path.name for path in other.exchanged(data.hash).iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "0" * 64])
def test_a_pack_writes_nothing_but_images(data, images, run, other, contents, name, tmp_path):
    """Whatever a pack calls its content, only images under their own hash are written."""
    images.rename(images.with_name("elsewhere"))
    forged = BytesIO()
    with tarfile.open(fileobj=forged, mode="w") as pack:
        entry = tarfile.TarInfo(name)
        entry.size = 3
        pack.addfile(entry, BytesIO(b"bad"))
    contents.put("images.tar", forged.getvalue())
    with pytest.raises(StoreError, match="is damaged"):
        run(data, other)
    assert not [path for path in tmp_path.rglob("*") if path.name in ("outside", "0" * 64)]


@pytest.mark.usefixtures("down")
def test_a_place_that_is_down_ends_a_run_before_any_work(images, zoo_file, one):
    """A ranking does not begin when what its workers need cannot be exchanged; the error says where and what to do."""
    with pytest.raises(StoreError, match=rf"^{one.shared}: cannot be reached .* check the network"):
        pipeline.run(parameters(images, zoo_file, one), one)
    assert not (one.root / "cache").exists()


def test_a_place_that_goes_down_is_a_warning(data, run, one, request, caplog):
    """Work goes on with what is here, is told of once, and waits for no further answers."""
    request.getfixturevalue("down")
    made = run(data, one)
    scores, failures = score(made, ScoreParams(names=("itm", "knn")), one)
    assert (made.cached, len(scores), failures) == (False, 2, ())
    assert caplog.text.count("cannot be reached") == 1


def test_credentials_are_in_no_message(tmp_path, monkeypatch, caplog):
    """A URL with a password is taken from the environment alone, and shown without."""
    open_secret = Store(tmp_path, shared="ftp://somebody:hunter2@127.0.0.1:9/place")
    monkeypatch.setenv("PLACE", str(open_secret.shared))
    for store, words in (
        (open_secret, "holds credentials"),
        (replace(open_secret, shared="$PLACE"), "^ftp://127.0.0.1:9/place"),
    ):
        with pytest.raises(StoreError, match=words) as caught:
            check_place(store)
        assert caught.value.__cause__ is None
        assert "hunter2" not in f"{caught.value}{caplog.text}"
        assert "somebody" not in f"{caught.value}{caplog.text}"


@pytest.mark.parametrize(
    ("shared", "words"),
    [
        ("$NO_SUCH_PLACE", "the environment has no NO_SUCH_PLACE"),
        ("nowhere://place", "nowhere://place: cannot be used"),
        ("file:///proc/place", "file:///proc/place: (cannot be reached|does not exist)"),
    ],
)
def test_a_place_that_cannot_be_is_an_error_in_words(tmp_path, shared, words):
    """Unset variables, unknown file systems and folders that cannot be made are told with their remedy."""
    with pytest.raises(ItmError, match=words):
        check_place(Store(tmp_path, shared=shared))


@pytest.mark.usefixtures("s3_server")
def test_a_bucket_that_does_not_exist_is_an_error(tmp_path):
    """No bucket is made by accident."""
    with pytest.raises(StoreError, match="s3://no-such-bucket/itm: does not exist; make the bucket"):
        check_place(Store(tmp_path, shared="s3://no-such-bucket/itm"))


@pytest.mark.parametrize("url", ["file://{}/place", "memory://place", "{}/place"])
def test_any_file_system_will_do(tmp_path, url):
    """What is sent through a folder or memory comes back byte by byte, sent again or not, and leaves nothing beside it."""
    sender, receiver = (Store(tmp_path / name, shared=url.format(tmp_path)) for name in ("sender", "receiver"))
    check_place(sender)
    for size in (10, 100_000):
        sent, path = sender.root / "cache" / f"{size}", receiver.root / "cache" / f"{size}"
        sent.parent.mkdir(parents=True, exist_ok=True)
        sent.write_bytes(bytes(range(256)) * (size // 256) + b"end")
        assert not fetch(receiver, path)
        assert publish(sender, sent)
        assert publish(sender, sent)
        assert fetch(receiver, path)
        assert path.read_bytes() == sent.read_bytes()
    files, folder = fsspec.url_to_fs(url.format(tmp_path))
    assert sorted(name.rpartition("/")[2] for name in files.find(folder)) == ["10", "100000", "itm-shared-place"]


def test_nothing_is_exchanged_without_a_place_or_from_outside(tmp_path):
    """A store of its own sends nothing, and no store sends what is not below its root."""
    file = tmp_path / "file"
    file.write_text("mine")
    assert not publish(Store(tmp_path), file)
    assert not publish(Store(tmp_path / "store", shared=f"file://{tmp_path}/place"), file)
    assert not fetch(Store(tmp_path), tmp_path / "missing")
    assert list(tmp_path.iterdir()) == [file]


def test_images_that_are_here_are_not_fetched(data, other):
    """A machine that sees the images reads them where they are."""
    rows = read_index(data).filter(pl.col("status") == "ok")
    assert with_images_here(rows, data, other) is rows
    assert not other.root.exists()
