"""Error types of the library.

A message names the wrong value and says what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class ItmError(Exception):
    """Base class of all errors that a user can cause and fix."""


class ParamsError(ItmError):
    """A parameter, option or command-line value is wrong."""


class DataError(ItmError):
    """A data set cannot be used."""


class ModelError(ItmError):
    """A model cannot be resolved, built or loaded."""


class StoreError(ItmError):
    """A file of the store is missing, damaged or from another version."""


class ScoreError(ItmError):
    """A score is undefined for the given features and labels."""


class AgreementError(ItmError):
    """Accuracies and scores cannot be compared."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown word.

    It is ``"; did you mean 'x' or 'y'?"``, or a full stop if no known word is similar.
    """
    near = get_close_matches(word, list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else "."
