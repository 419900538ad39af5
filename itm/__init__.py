"""Which pre-trained vision model should I fine-tune for my data?

`itm.rank("folder:pictures")` ranks models for a folder of images and returns a `ModelRanking`; `itm.rank_embeddings` ranks
embeddings without a model, `itm.finetune` trains models further and measures their accuracies, `itm.select` finds the best one
under a budget, and `itm.load_recommended` loads the model that a ranking recommends.

The packages, in the order in which data goes through them: `itm.data` and `itm.zoo`, `itm.features`, `itm.scores`,
`itm.ranking`, `itm.report`; `itm.run` does all of it. `itm.scores.evaluate("itm", features, labels)` scores one array.
Importing this package imports none of them.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from itm.api.embeddings import rank_embeddings as rank_embeddings
    from itm.api.finetune import FinetunedModels as FinetunedModels
    from itm.api.finetune import finetune as finetune
    from itm.api.model_ranking import ModelRanking as ModelRanking
    from itm.api.rank import rank as rank
    from itm.api.select import ModelSelection as ModelSelection
    from itm.api.select import select as select
    from itm.export import LoadedModel as LoadedModel
    from itm.export import load_recommended as load_recommended

# Waiting OpenMP threads must not spin: on a busy machine two spinning ones take ten times as long. It has an effect only before
# torch, scikit-learn or another user of OpenMP is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

_MODULES = {  # of each public name, the module that is imported when it is used first
    "FinetunedModels": "itm.api.finetune",
    "LoadedModel": "itm.export",
    "ModelRanking": "itm.api.model_ranking",
    "ModelSelection": "itm.api.select",
    "finetune": "itm.api.finetune",
    "load_recommended": "itm.export",
    "rank": "itm.api.rank",
    "rank_embeddings": "itm.api.embeddings",
    "select": "itm.api.select",
}

__all__ = [
    "FinetunedModels",
    "LoadedModel",
    "ModelRanking",
    "ModelSelection",
    "finetune",
    "load_recommended",
    "rank",
    "rank_embeddings",
    "select",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'itm' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
