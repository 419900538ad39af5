"""Embeddings of some images are taken from a stored feature file, and only those of the other images are computed."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from itm.core.types import DataRef, Features
from itm.data.subset import take
from itm.features.identity import Identity
from itm.kinds import get_kind
from itm.store.feature_file import new_matrix, read_embeddings, read_logits, write_features


@dataclass(frozen=True)
class KnownRows:
    """Which of `rows` are in the feature files of a subset. `is_known` is [n]."""

    rows: pl.DataFrame
    is_known: np.ndarray

    @classmethod
    def of(cls, rows: pl.DataFrame, usable: pl.DataFrame, data: DataRef) -> "KnownRows":
        """Return which of `rows` are in `data.known`, a subset of the `usable` rows."""
        if data.known is None:
            return cls.none(rows)
        return cls(rows, rows["id"].is_in(take(usable, data, data.known)["id"].implode()).to_numpy())

    @classmethod
    def none(cls, rows: pl.DataFrame) -> "KnownRows":
        return cls(rows, np.zeros(len(rows), dtype=bool))

    @property
    def missing(self) -> pl.DataFrame:
        """Return the rows whose embeddings have to be computed."""
        return self.rows.filter(pl.Series(~self.is_known))

    def complete(self, computed: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
        """Return the outputs [n, width] of all rows, from those computed for the missing ones and those of a feature file.

        Large outputs are mapped from a scratch file in the folder of `path`.
        """
        known, found = _read(path, self.rows["id"].filter(pl.Series(self.is_known))), {}
        for name, values in computed.items():
            found[name] = new_matrix(len(self.rows), values.shape[1], path.parent)
            found[name][self.is_known], found[name][~self.is_known] = known[name], values
        return found


def write_part(whole: Features, rows: pl.DataFrame, data: DataRef, identity: Identity, path: Path) -> Features:
    """Write the feature file of a subset, the `rows`, from that of all images, and return its record."""
    part = replace(whole, path=path, key=identity.key, rows=len(rows))
    targets = get_kind(data.target.kind).encode(rows["target"].to_list(), data.target)
    write_features(part, rows["id"], rows["group"], targets, rows["split"], _read(whole.path, rows["id"]), asdict(identity))
    return part


def _read(path: Path, ids: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the outputs of some rows of a feature file, in the order of `ids`, which may be another one."""
    embeddings, _, stored = read_embeddings(path)
    places = {name: place for place, name in enumerate(stored)}
    order = np.array([places[name] for name in ids])
    logits = read_logits(path)
    return {"embedding": embeddings[order]} | ({} if logits is None else {"logits": logits[order]})
