"""Names that a user gives to classes, groups, splits and columns: one form per name, missing values, and look-alikes."""

import re
import unicodedata
from collections.abc import Iterable

# What pandas reads as missing. "none" and "na" in small letters are also words, so they stay names.
_MISSING = {"", "nan", "-nan", "null", "n/a", "<na>", "#n/a", "#na", "nat"}
_MISSING_EXACTLY = {"None", "NONE", "NA"}
DOUBTFUL = {"none", "na"}  # in small letters; names, but perhaps meant as missing

_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
_ENDS = re.compile(rf"^[\s{_INVISIBLE}]+|[\s{_INVISIBLE}]+$")
_JOINTS = re.compile(rf"[\s_{_INVISIBLE}-]+")
_WHOLE = re.compile(r"([+-]?\d+)(?:\.0*)?")
# Letters of the Greek and Cyrillic alphabets, and the Latin letters that they look like.
_LOOK_ALIKES = str.maketrans(
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03b1\u03bd\u03b9\u03ba\u03c1"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455",
    "ABEZHIKMNOPTYXoavikp" + "ABEKMHOPCTYXIJS" + "aeopcyxijs",
)


def clean(text: str) -> str:
    """Return a name in Unicode form NFC without blanks at its ends.

    >>> clean(" pa\u0302te\u0301\\u00a0") == "p\u00e2t\u00e9"
    True
    """
    return text.strip() if text.isascii() else _ENDS.sub("", unicodedata.normalize("NFC", text))


def is_missing(text: str) -> bool:
    """Return whether a text stands for a missing value.

    >>> [is_missing(text) for text in (" ", "NaN", "None", "null", "none", "nano")]
    [True, True, True, True, False, False]
    """
    text = clean(text)
    return len(text) <= 4 and (text.casefold() in _MISSING or text in _MISSING_EXACTLY)


def as_whole_numbers(texts: list[str]) -> list[str]:
    """Return the texts of a column without decimals if all are whole numbers or missing: a gap turns integers into floats.

    >>> as_whole_numbers(["1.0", "2.", "", "NaN"]), as_whole_numbers(["1.0", "1.5"]), as_whole_numbers(["01", "02"])
    (['1', '2', '', 'NaN'], ['1.0', '1.5'], ['01', '02'])
    """
    numbers = {text: _WHOLE.fullmatch(clean(text)) for text in set(texts) if not is_missing(text)}
    if not any("." in text for text in numbers) or not all(numbers.values()):
        return texts
    whole = {text: match[1] for text, match in numbers.items() if match}
    return [whole.get(text, text) for text in texts]


def find_look_alikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return groups of names that differ only in case, inner blanks, hyphens, underscores or letters that look the same.

    >>> find_look_alikes(["cat", "Cat", "sea lion", "sea_lion", "dog", "1-2", "12"])
    [('Cat', 'cat'), ('sea lion', 'sea_lion')]
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(_look(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _look(name: str) -> str:
    """Return a key that names share if they look alike. In numbers, hyphens have a meaning."""
    text = unicodedata.normalize("NFKC", name.translate(_LOOK_ALIKES)).casefold()
    return _JOINTS.sub("", text) if any(letter.isalpha() for letter in text) else text
