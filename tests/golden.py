"""The golden values: what every score and the page of a ranking are on fixed input, each with its version.

`make golden` writes them again. It refuses to replace what changed while its version did not: stored results and DVC stages are
reused as long as a version stays the same.
"""

import json
import re
import sys
from collections.abc import Iterator
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np

from itm.core.errors import ScoreError
from itm.report.page import REPORT, render
from itm.scores import Splitting, evaluate, get, names, weights_of
from tests.report.example import example_ranking
from tests.scores.samples import scored

VALUES = Path(__file__).parent / "scores" / "golden_values.json"
PAGE = Path(__file__).parent / "report" / "golden_page.html"
# Rows, columns, classes, and how far apart the classes are.
SHAPES = {"more_rows_than_columns": (120, 12, 4, 0.6), "more_columns_than_rows": (60, 96, 3, 0.35)}
TRAINED = {"itm": 0.02, "itm_eta0": 0.02, "linear_probe": 0.02}  # accuracies, in which a processor's rounding can flip a row

Entry = dict[str, Any]


def score_entry(name: str) -> Entry:
    """Return the version of a score and its value on each array, or its weights if it combines other scores."""
    entry: Entry = {"version": get(name).info.version}
    if weights := weights_of(name):
        return entry | {"weights": dict(weights)}
    for number, (shape, (rows, columns, classes, gap)) in enumerate(SHAPES.items()):
        rng = np.random.default_rng(number)
        labels = np.arange(rows) % classes
        centres = rng.normal(size=(classes, columns))
        features = (rng.normal(size=(rows, columns)) + gap * centres[labels]).astype(np.float32)
        try:
            entry[shape] = float(f"{scored(name, features, labels, splitting=Splitting()).value:.10g}")
        except ScoreError:
            entry[shape] = "undefined"
        if "regression" in get(name).info.kinds:
            numbers = features[:, 0] + rng.normal(size=rows)
            entry[f"numbers_{shape}"] = float(f"{evaluate(name, features, numbers, kind='regression').value:.10g}")
        if "multilabel" in get(name).info.kinds:
            several = features[:, :3] + rng.normal(size=(rows, 3)) > [0.0, 0.5, 1.0]
            entry[f"labels_{shape}"] = float(f"{evaluate(name, features, several, kind='multilabel').value:.10g}")
    return entry


def same(name: str, one: Any, other: Any) -> bool:
    """Say whether two values of a score, or two entries, differ by no more than processors do."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() <= other.keys() and all(same(name, one[key], other[key]) for key in one)  # others are new cases
    if isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    return isclose(one, other, rel_tol=1e-6, abs_tol=TRAINED.get(name, 1e-12))


def page_text() -> str:
    """Return the version and the page of the example ranking, its figures reduced to their text, which no font changes."""
    return f"<!-- report version {REPORT} -->\n" + re.sub(r"<svg.*?</svg>", _words, render(example_ranking()), flags=re.DOTALL)


def _words(svg: re.Match[str]) -> str:
    return "<svg>\n" + "\n".join(re.findall(r"<text[^>]*>(.*?)</text>", svg[0], flags=re.DOTALL)) + "\n</svg>"


def unversioned_changes(stored: dict[str, Entry], current: dict[str, Entry], stored_page: str, page: str) -> Iterator[str]:
    """Yield what changed although its version is the stored one."""
    for name, entry in current.items():
        if name in stored and stored[name]["version"] == entry["version"] and not same(name, stored[name], entry):
            yield f"score {name} changed from {stored[name]} to {entry}; raise its version first."
    if stored_page and stored_page != page and stored_page.partition("\n")[0] == page.partition("\n")[0]:
        yield "the page changed; raise REPORT in itm/report/page.py first."


def read_values() -> dict[str, Entry]:
    """Return the stored entries by score."""
    values: dict[str, Entry] = json.loads(VALUES.read_text(encoding="utf-8")) if VALUES.exists() else {}
    return values


def read_page() -> str:
    """Return the stored page."""
    return PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""


def main() -> int:
    """Write the golden values, unless one changed and its version did not; values that only round differently stay."""
    stored, current, page = read_values(), {name: score_entry(name) for name in names()}, page_text()
    if changes := list(unversioned_changes(stored, current, read_page(), page)):
        sys.stderr.write("\n".join(changes) + "\n")
        return 1
    kept = {
        name: entry | stored[name] if name in stored and same(name, stored[name], entry) else entry
        for name, entry in current.items()
    }
    VALUES.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
