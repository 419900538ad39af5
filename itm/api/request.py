"""From the arguments of a function to the parameters and the store, as the command line has them for the same question."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from itm.core.errors import ParamsError
from itm.core.params import Params, find_params, with_overrides
from itm.core.yaml_records import parse
from itm.data.sources.parse import check_models_can_be_chosen, parse_source
from itm.run.trials import trial_name
from itm.store.layout import Store
from itm.zoo.choice import parse_zoo

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
    parse_source(source)  # an error in it is found before anything heavy is imported
    if zoo or models or variants:
        check_models_can_be_chosen(source)
    changes = sections | {
        "data": sections.get("data", {}) | {"sets": (source,)},
        "zoo": _zoo(zoo, names(models)) | {"variants": names(variants)},
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


def _zoo(zoo: str | Path | None, models: tuple[str, ...] | None) -> dict[str, Any]:
    """Return what `zoo` and `models` change in the parameters. `models` names models of a zoo file, and then of timm."""
    if zoo is None:
        return {"models": models}
    choice = parse_zoo(zoo)
    if choice.file is None and models:
        raise ParamsError(f"zoo {str(zoo)!r} names models, and so does models; name all of them in models.")
    return {"file": choice.file, "models": models or choice.models}


def _argument(key: str) -> str:
    """Return the argument that sets a key of the parameters."""
    name = key.partition(".")[2].partition(".")[0] or key
    return ARGUMENTS.get(name, name)
