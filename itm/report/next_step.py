"""The command that a reader of a ranking runs next."""

import re
import shlex
from typing import Any

from itm.core.rankings import DataRanking, Ranking
from itm.report.wording import ranked

FIRST = 3  # models to compare


def next_command(data: DataRanking, ranking: Ranking) -> str:
    """Return the command that fine-tunes the first models of a data set, or nothing if none can be."""
    rows = ranked(data)[:FIRST]
    models = [row.model for row in rows]
    if not any(row.facts for row in rows):  # also of embeddings without a model
        return ""
    params = ranking.provenance.get("params")
    zoo, sets = (_section(params, name) for name in ("zoo", "data"))
    named = re.fullmatch(r"[^=:/?]+", data.data) is not None
    words = ["itm", "finetune", f"{data.data}={data.source}" if named else data.source]
    words += ["--zoo", str(zoo["file"])] if zoo.get("file") else []
    for path in zoo.get("code") or ():
        words += ["--code", str(path)]
    words += ["--max-images", str(sets["max_images"])] if sets.get("max_images") else []
    for model in models:
        words += ["--model", model]
    return shlex.join(words)


def _section(params: Any, name: str) -> dict[str, Any]:
    found = params.get(name) if isinstance(params, dict) else None
    return found if isinstance(found, dict) else {}
