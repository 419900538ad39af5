"""The Python examples of the documentation."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def examples(page: str) -> list[str]:
    """Return the blocks of Python on a page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
