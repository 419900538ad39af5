"""Transferability scores under one contract: `evaluate("logme", features, labels)`.

A score is a finite number, higher for a model that should do better after full fine-tuning. It is the same for the same seed,
never changes its input, never depends on the other models, and is the same under any order of rows and any naming of classes.
Input it cannot judge is a ScoreError that says what is wrong.
"""

from itm.scores.evaluate import (
    Definition,
    Evaluation,
    Sample,
    Source,
    Splitting,
    canonical,
    check_options,
    computed,
    evaluate,
    evaluate_together,
    get,
    listed,
    names,
)
from itm.scores.itm import score as _score  # noqa: F401  (registers itm and its control)
from itm.scores.library import (  # noqa: F401  (each registers its score)
    controls,
    energy,
    etran,
    gbc,
    hscore,
    hscore_shrunk,
    knn,
    lda,
    lead,
    leep,
    lfc,
    linear_probe,
    logme,
    nce,
    ncti,
    nearest_class_mean,
    nleep,
    pactran,
    parc,
    ped,
    sa,
    sfda,
    tmi,
    transrate,
)

__all__ = [
    "Definition",
    "Evaluation",
    "Sample",
    "Source",
    "Splitting",
    "canonical",
    "check_options",
    "computed",
    "evaluate",
    "evaluate_together",
    "get",
    "listed",
    "names",
]
