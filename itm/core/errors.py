"""The few error types of this library, all of them carrying the value that is wrong and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class ItmError(Exception):
    """Base of every error a user can cause and mend."""


class ParamsError(ItmError):
    """A parameter, option or command-line value is wrong."""


class DataError(ItmError):
    """A data set cannot be used as it is."""


class ModelError(ItmError):
    """A model cannot be resolved, built or loaded."""


class StoreError(ItmError):
    """A stored file is missing, damaged or from another version."""


class ScoreError(ItmError):
    """A score is undefined on the features and labels it was given."""


class AgreementError(ItmError):
    """Accuracies and scores cannot be compared."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return what ends a sentence on an unknown word: ``"; did you mean 'x' or 'y'?"``, or a full stop if nothing is near."""
    near = get_close_matches(word, list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else "."
