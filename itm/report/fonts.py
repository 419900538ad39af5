"""Fonts for names in any script: letters that the usual font lacks come from other installed fonts."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

log = logging.getLogger(__name__)

USUAL = "DejaVu Sans"  # part of matplotlib
MOST_SHOWN = 10  # letters in the warning


def choose_fonts(figure: Figure) -> frozenset[str]:
    """Give the texts of a figure the fonts that they need, and return the letters that no installed font has."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    lacking = {text: letters for text in texts if (letters := _lacking(text.get_text()))}
    if not lacking:
        return frozenset()
    families, left = _fallbacks(frozenset().union(*lacking.values()))
    for text in lacking if families else ():
        text.set_fontfamily([USUAL, *families])
    return left


def letters_without_font(text: str) -> frozenset[str]:
    """Return the letters of a text that no installed font has."""
    lacking = _lacking(text)
    return _fallbacks(lacking)[1] if lacking else lacking


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Mute the warning that matplotlib gives for every letter without a glyph, each time it measures a text."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


@cache
def warn_of_boxes(letters: frozenset[str]) -> None:
    """Say once which letters are drawn as boxes, and what helps."""
    if letters:
        shown = " ".join(sorted(letters)[:MOST_SHOWN]) + (" ..." if len(letters) > MOST_SHOWN else "")
        log.warning(
            "no installed font has the letters %s: PNG figures show boxes for them, the page does not. Install a font that has "
            "them, for example Noto Sans CJK (Debian: apt install fonts-noto-cjk).",
            shown,
        )


def _lacking(text: str) -> frozenset[str]:
    return frozenset(letter for letter in text if ord(letter) not in _letters(_usual_path()) and not letter.isspace())


@cache
def _usual_path() -> str:
    return str(font_manager.findfont(USUAL))


@cache
def _letters(path: str) -> frozenset[int]:
    """Return the code points of a font; none if matplotlib cannot draw with it, as with coloured bitmaps."""
    try:
        font = font_manager.get_font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()


@cache
def _fallbacks(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the installed families that have most of the letters, and the letters that none has."""
    entries = sorted(
        (one for one in font_manager.fontManager.ttflist if "Last Resort" not in one.name and one.style == "normal"),
        key=lambda one: (one.weight not in (400, "normal", "regular"), "Sans" not in one.name, one.name, one.fname),
    )
    families: list[str] = []
    left = set(letters)
    while left:
        best = max(entries, key=lambda one: sum(ord(letter) in _letters(one.fname) for letter in left), default=None)
        found = {letter for letter in left if best is not None and ord(letter) in _letters(best.fname)}
        if best is None or not found:
            break
        families.append(best.name)
        left -= found
    return tuple(families), frozenset(left)
