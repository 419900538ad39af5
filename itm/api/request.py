"""From the arguments of a function to the parameters and the store, as the command line has them for the same question."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from itm.core.errors import ParamsError
from itm.core.params import Params, find_params, with_overrides
from itm.core.yaml_records import parse
from itm.run.request import chosen_models
from itm.run.trials import trial_name
from itm.store.layout import Store

Names = str | Sequence[str] | None
ARGUMENTS = {"names": "scores", "rank_by": "by", "sets": "data", "protocols": "protocol"}  # that differ from their keys


def read_request(
    data: str | Path,
    zoo: str | Path | None,
    models: Names,
    variants: Names,
    params: str | Path | None,
    store: str | Path | None,
    sections: dict[str, dict[str, Any]],
) -> tuple[Params, Store]:
    """Return the parameters of a call and its store.

    They are those of a command with the same options and ``--runner inline``, so both share what is stored. The recommended
    models of the store never change.

    Raises
    ------
    ParamsError
        If an argument is wrong, or models are chosen for embeddings.
    DataError
        If the text of the source is.
    """
    before = find_params(Path(params) if params is not None else None)
    source = _source(data)
    changes = sections | {
        "data": sections.get("data", {}) | {"sets": (source,)},
        "zoo": chosen_models((source,), zoo, names(models), names(variants), ("zoo", "models")),
        "runner": {"kind": "inline"},
        "track": {"recommend": False},
    }
    chosen = with_overrides(before, _argument, **changes)
    if store is not None:
        chosen = parse(chosen.model_dump() | {"store": store}, Params, "rank")
    return chosen, Store(chosen.store, trial_name(before, chosen), chosen.shared)


def names(value: Names) -> tuple[str, ...] | None:
    """Return one name or several as a tuple.

    >>> names("knn"), names(["knn", "itm"]), names(None)
    (('knn',), ('knn', 'itm'), None)
    """
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def _source(data: str | Path) -> str:
    """Return the text of a source. A path that is no file is a folder, which may be missing."""
    if not isinstance(data, str | Path):
        raise ParamsError(
            f"data is of type {type(data).__name__}; give the text of a source such as 'folder:pictures', or the path of a "
            "folder."
        )
    return f"folder:{data}" if isinstance(data, Path) and not data.is_file() else str(data)


def _argument(key: str) -> str:
    """Return the argument that sets a key of the parameters."""
    name = key.partition(".")[2].partition(".")[0] or key
    return ARGUMENTS.get(name, name)
