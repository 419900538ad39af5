"""Transferability scores under one contract: `evaluate("logme", features, labels)`.

A score is a finite number, higher for a model that should do better after full fine-tuning. It is the same for the same seed,
never changes its input, never depends on the other models, and is the same under any order of rows and any naming of classes.
Input it cannot judge is a ScoreError that says what is wrong.
"""

from itm.scores import itm, knn, linear_probe, logme  # noqa: F401  (each registers its score)
from itm.scores.contract import (
    Definition,
    Evaluation,
    Splitting,
    check_options,
    evaluate,
    evaluate_together,
    get,
    names,
)

__all__ = ["Definition", "Evaluation", "Splitting", "check_options", "evaluate", "evaluate_together", "get", "names"]
