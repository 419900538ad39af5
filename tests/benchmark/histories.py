"""A synthetic history: two families of models, two kinds of data sets, and each family is good at one kind."""

import numpy as np

from benchmarks.history_prior import DataFacts, History

MODELS = tuple(f"{family}{number}" for family in ("conv", "vit") for number in range(8))
KINDS = ("natural", "structured") * 4
DATA = tuple(DataFacts(10, {"kind": kind}) for kind in KINDS)
FACTS = {name: {"family": name[:-1], "parameters": 1e6 * 2 ** int(name[-1])} for name in MODELS}


def accuracies(seed: int = 0) -> np.ndarray:
    """Return accuracies [models, data sets]: the natural sets prefer conv, the structured ones vit, and larger models win."""
    generator = np.random.default_rng(seed)
    conv = np.array([name.startswith("conv") for name in MODELS])
    size = np.array([int(name[-1]) for name in MODELS]) / 8
    natural = np.array([kind == "natural" for kind in KINDS])
    fits = np.where(conv[:, None] == natural[None, :], 0.6, -0.6)
    difficulty = generator.normal(0, 0.7, len(KINDS))
    odds = 0.5 + difficulty + fits + size[:, None] + generator.normal(0, 0.1, (len(MODELS), len(KINDS)))
    return 0.1 + 0.9 / (1 + np.exp(-odds))


def history(values: np.ndarray | None = None) -> History:
    return History(MODELS, DATA, accuracies() if values is None else values)
