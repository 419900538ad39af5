"""Trials: rankings of anything else than the unchanged params.yaml. Each has its own folder and recommends nothing."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from itm.core.params import Params

DEFAULT = Path("params.yaml")
LONGEST = 40  # characters of a name before its hash
MOST_NAMES = 3
# Values that decide what is ranked and how. The others decide where and when it is computed.
DECIDES = {"data": None, "zoo": {"file", "models", "variants"}, "extract": {"precision"}, "score": None, "filters": None}


def is_trial(file: Path | None, before: "Params", chosen: "Params") -> bool:
    """Return whether a ranking by `chosen` is not the ranking of params.yaml.

    It is not if another parameter file is named, or an option changed what is ranked or how.
    """
    return (file is not None and file.resolve() != DEFAULT.resolve()) or _decides(before) != _decides(chosen)


def trial_name(before: "Params", chosen: "Params") -> str | None:
    """Return the name of the folder of a trial: its data sets and a short hash of what the options changed.

    None is the ranking of the parameter file itself.
    """
    from itm.core.keys import content_key
    from itm.data.ingest import short_name

    old, new = _decides(before), _decides(chosen)
    if changes := {section: values for section, values in new.items() if values != old[section]}:
        return f"{_readable([short_name(source) for source in chosen.data.sets])}-{content_key(changes)[:6]}"
    return None


def _decides(params: "Params") -> dict[str, Any]:
    found = {name: getattr(params, name).model_dump(mode="json", include=included) for name, included in DECIDES.items()}
    if not found["zoo"]["variants"]:  # names of trials from before there were variants stay valid
        del found["zoo"]["variants"]
    found["filters"] = params.filters.as_set()
    return found


def _readable(names: list[str]) -> str:
    """Return names in characters that need no quotes in a shell; the hash keeps different ones apart."""
    shown = names if len(names) <= MOST_NAMES else [*names[: MOST_NAMES - 1], f"and-{len(names) - MOST_NAMES + 1}-more"]
    text = re.sub(r"[^A-Za-z0-9_.]+", "-", "-".join(shown)).strip("-.")
    return text[:LONGEST].rstrip("-.") or "data"
