"""Class numbers from labels as users have them: text, whole numbers, truth values, or arrays of other libraries."""

import numpy as np

from itm.core.errors import ScoreError
from itm.core.labels import clean, is_missing


def class_numbers(labels: np.ndarray) -> np.ndarray:
    """Return labels as integers. Integers are returned as they are, and text is compared trimmed and in one Unicode form.

    Raises
    ------
    ScoreError
        If a label is missing, text and numbers are mixed, or a number is not whole.
    """
    if labels.dtype.kind in "iu":
        return labels
    if labels.dtype.kind == "b":
        return labels.astype(np.int64)
    if labels.dtype.kind == "f":
        return _whole(labels)
    values = labels.tolist()
    missing = [row for row, label in enumerate(values) if is_missing(str(label))]  # NumPy makes text of them among other text
    if missing:
        raise ScoreError(f"{len(missing)} of {len(values)} labels are missing, the first in row {missing[0]}; leave them out.")
    is_text = [isinstance(label, str) for label in values]
    if all(is_text):
        return np.asarray(np.unique([clean(label) for label in values], return_inverse=True)[1])
    if any(is_text):
        raise ScoreError("some labels are text and others are numbers; make all of them text or all of them whole numbers.")
    numbers = np.array(values)
    if numbers.dtype.kind not in "iubf":
        raise ScoreError(f"labels are of type {type(values[0]).__name__}; text or whole numbers are needed.")
    return class_numbers(numbers)


def _whole(labels: np.ndarray) -> np.ndarray:
    if (bad := ~np.isfinite(labels)).any():
        raise ScoreError(f"{bad.sum()} of {len(labels)} labels are missing, the first in row {bad.argmax()}; leave them out.")
    if (bad := labels != np.round(labels)).any():
        raise ScoreError(
            f"the label of row {bad.argmax()} is {labels[bad.argmax()]:g}; class labels are text or whole numbers. For a "
            "numeric target, write kind='regression'."
        )
    return labels.astype(np.int64)
