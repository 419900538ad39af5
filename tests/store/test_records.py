"""Cached records: what was put in comes out, and anything else counts as missing."""

import json
from pathlib import Path

import pytest

from itm.store.files import read_json
from itm.store.layout import Store
from itm.store.records import RecordStore

PAYLOAD = {"value": 0.5, "draws": [0.25, 0.75], "note": "é"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    RecordStore().put(tmp_path / "folder" / "one.json", "key", PAYLOAD)
    return tmp_path / "folder" / "one.json"


def test_the_payload_of_the_same_key_is_returned(path):
    assert RecordStore().get(path, "key") == PAYLOAD
    assert set(read_json(path)) == {"version", "key", "payload", "checksum"}


def test_a_missing_record_is_not_logged(tmp_path, caplog):
    assert RecordStore().get(tmp_path / "nothing.json", "key") is None
    assert caplog.text == ""


@pytest.mark.parametrize("records", [RecordStore(), RecordStore(version=2)])
def test_another_key_or_version_counts_as_missing(path, records, caplog):
    assert records.get(path, "key" if records.version == 2 else "other") is None
    assert f"{path}: is damaged (it holds another record than expected). It counts as missing." in caplog.text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "is damaged"),
        (lambda text: text.replace("0.75", "0.76"), "its checksum does not match"),
        (lambda text: text.replace('"key": "key"', '"key": "kex"'), "its checksum does not match"),
        (lambda text: json.dumps([text]), "is damaged"),
        (lambda text: json.dumps({"payload": json.loads(text)["payload"]}), "is damaged"),
        (lambda _: "\x00", "is damaged"),
    ],
)
def test_a_damaged_record_counts_as_missing(path, damage, message, caplog):
    path.write_text(damage(path.read_text()))
    assert RecordStore().get(path, "key") is None
    assert message in caplog.text
    assert "It counts as missing." in caplog.text
    RecordStore().put(path, "key", PAYLOAD)
    assert RecordStore().get(path, "key") == PAYLOAD


def test_bytes_that_are_not_text_count_as_missing(path):
    path.write_bytes(b"\xff\xfe\xff")
    assert RecordStore().get(path, "key") is None


def test_records_are_exchanged_through_the_shared_place(tmp_path):
    shared = f"file://{tmp_path / 'shared'}"
    (tmp_path / "shared").mkdir()
    one, other = (Store(tmp_path / name, shared=shared) for name in ("one", "other"))
    RecordStore(one).put(one.root / "cache" / "record.json", "key", PAYLOAD)
    assert RecordStore().get(other.root / "cache" / "record.json", "key") is None
    assert RecordStore(other).get(other.root / "cache" / "record.json", "key") == PAYLOAD
    assert (other.root / "cache" / "record.json").is_file()
