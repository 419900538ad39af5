"""Transferability scores under one contract: `evaluate("logme", features, labels)`.

A score is a finite number, higher for a model that should do better after full fine-tuning. It is the same for the same seed,
does not change its input, does not depend on the other models, and does not depend on the order of rows or the naming of
classes. Input for which it is undefined is a ScoreError that says why.
"""

from itm.scores.base import CombinedScore, ConstantScore, Evaluation, Options, Sampling, Score, ScoreInfo, StatisticScore
from itm.scores.evaluate import evaluate, evaluate_together
from itm.scores.folds import Fold, Splitting
from itm.scores.model_info import ModelInfo
from itm.scores.probe import ProbeOptions, ProbeScore
from itm.scores.registry import expand, get, make, names, register, weights_of
from itm.scores.sample import Sample, canonical

__all__ = [
    "CombinedScore",
    "ConstantScore",
    "Evaluation",
    "Fold",
    "ModelInfo",
    "Options",
    "ProbeOptions",
    "ProbeScore",
    "Sample",
    "Sampling",
    "Score",
    "ScoreInfo",
    "Splitting",
    "StatisticScore",
    "canonical",
    "evaluate",
    "evaluate_together",
    "expand",
    "get",
    "make",
    "names",
    "register",
    "weights_of",
]
