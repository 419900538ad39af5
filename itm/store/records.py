"""Cached records: small JSON files that a later run takes instead of computing the same again.

A record holds the version of its layout, the key of what it was computed from, the payload, and a checksum over these three.
A file that is damaged, or holds the record of another key or version, counts as missing.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from itm.core.errors import StoreError, cause
from itm.core.keys import content_key
from itm.store.files import exists, read_json, write_json
from itm.store.layout import Store
from itm.store.mirror import fetch, publish

log = logging.getLogger(__name__)

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class RecordStore:
    """Reads and writes cached records.

    With a `store` that has a shared folder, records are exchanged through it. Only files whose names depend on their content
    may be exchanged; all others need a record store without a `store`.
    """

    store: Store | None = None
    version: int = 1  # raise it when the layout of the payload changes

    def get(self, path: Path, key: str) -> Any | None:
        """Return the payload of the record at `path`, or None where there is no valid record of `key`."""
        if not (fetch(self.store, path) if self.store else exists(path)):
            return None
        try:
            record = dict(read_json(path))
            checksum = record.pop("checksum")
            if checksum != content_key(record):
                raise ValueError("its checksum does not match")
            if (record["key"], record["version"]) != (key, self.version):
                raise ValueError("it holds another record than expected")
            return record["payload"]
        except StoreError as error:
            log.warning("%s It counts as missing.", error)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("%s: is damaged (%s). It counts as missing.", path, cause(error))
        return None

    def get_as(self, kind: type[Kind], path: Path, key: str) -> Kind | None:
        """Return the record of `key` as a dataclass, or None where there is none or it is from another version."""
        if (payload := self.get(path, key)) is None:
            return None
        try:
            return TypeAdapter(kind).validate_python(payload)
        except ValidationError:
            log.warning("%s: is from another version. It counts as missing.", path)
            return None

    def put(self, path: Path, key: str, payload: Any) -> None:
        record = {"version": self.version, "key": key, "payload": payload}
        write_json(path, record | {"checksum": content_key(record)})
        if self.store:
            publish(self.store, path)
