"""Models of one data set that are scored together, and their samples."""

import time
from collections.abc import Callable, Sequence

from itm.core.sections import ScoreParams
from itm.core.types import Features
from itm.scores import Evaluation, ModelInfo, Sample, Splitting, canonical, evaluate_together, expand, get
from itm.store.feature_file import read_embeddings, read_groups, read_logits
from itm.zoo.imagenet import imagenet_top1

Evaluated = tuple[Evaluation, float] | Exception  # with the run time in seconds


def splitting(params: ScoreParams) -> Splitting:
    """Return how the parameters split rows into folds."""
    return Splitting(params.splitting, params.folds, params.repeats, params.seed)


def single(params: ScoreParams) -> list[str]:
    """Return the names of the scores that are computed for each model by itself."""
    return [name for name in expand(params.names) if get(name).sampling != "pooled"]


class Batch:
    """Models with their samples; scores of one model share what they compute of its rows until it is forgotten."""

    def __init__(self, readers: Sequence[Callable[[], Sample]], params: ScoreParams, device: str) -> None:
        self.params, self.device = params, device
        self._readers = readers
        self._samples: dict[int, Sample | Exception] = {}

    def forget(self, number: int) -> None:
        """Release what was read and computed of a model."""
        self._samples.pop(number, None)

    def evaluate(self, name: str, numbers: list[int]) -> dict[int, Evaluated]:
        """Return a score of the models with these numbers, or the error; models with the same rows are computed together."""
        results: dict[int, Evaluated] = {}
        samples: dict[int, Sample] = {}
        for number in numbers:
            read = self._sample(number)
            if isinstance(read, Sample):
                samples[number] = read
            else:
                results[number] = read
        while rest := [number for number in samples if number not in results]:
            alike = [number for number in rest if samples[number].has_rows_of(samples[rest[0]])]
            started = time.perf_counter()
            try:
                evaluated: Sequence[Evaluation | Exception] = evaluate_together(
                    name,
                    [samples[number] for number in alike],
                    options=self.params.options.get(name),
                    splitting=splitting(self.params),
                    device=self.device,
                )
            except Exception as error:  # libraries of linear algebra raise errors of their own
                evaluated = [error.with_traceback(None) if len(alike) > 1 else error]
            if len(evaluated) < len(alike):  # outside of the except clause: the error refers to what did not fit into memory
                for number in alike:
                    results |= self.evaluate(name, [number])
                continue
            seconds = (time.perf_counter() - started) / len(alike)
            for number, one in zip(alike, evaluated, strict=True):
                results[number] = one if isinstance(one, Exception) else (one, seconds)
        return results

    def _sample(self, number: int) -> Sample | Exception:
        if number not in self._samples:
            try:
                self._samples[number] = self._readers[number]()
            except Exception as error:
                self._samples[number] = error
        return self._samples[number]


def reader(features: Features, params: ScoreParams) -> Callable[[], Sample]:
    """Return the function that reads the sample of a feature file, with what the scores of `params` need."""
    needs = {need for name in single(params) for need in get(name).info.needs}

    def read() -> Sample:
        embeddings, targets, ids = read_embeddings(features.path)
        facts = features.facts
        model = ModelInfo(
            logits=read_logits(features.path) if "logits" in needs else None,
            parameters=facts.parameters if facts else None,
            gmacs=facts.gmacs if facts else None,
            imagenet_top1=imagenet_top1(features.model) if facts else None,
            identity=features.model,
        )
        return canonical(embeddings, targets, ids, model, features.kind, read_groups(features.path))

    return read
