"""`itm.finetune`: fine-tune models on a data set, and measure the accuracy that a ranking predicts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itm.api.request import Names, names, read_request
from itm.core.confirmations import Accuracy
from itm.core.errors import DataError, ModelError
from itm.core.types import Failure, Outcome
from itm.run.check import check_request

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class FinetunedModel:
    """A fine-tuned model, averaged over seeds.

    `test` is its accuracy on the test images and `val` that on the validation images, each with its 95 % interval. For other
    tasks than classification, it is the main metric: average precision, or R².
    """

    model: str
    protocol: str
    test: Accuracy
    val: Accuracy
    learning_rate: float
    seeds: int
    seconds: float


@dataclass(frozen=True)
class FinetunedModels:
    """The fine-tuned models of a data set, by protocol and the best test accuracy first, and what failed."""

    data: str
    rows: tuple[FinetunedModel, ...]
    failures: tuple[Failure, ...] = ()

    @property
    def best(self) -> FinetunedModel:
        """Return the model with the best accuracy on the validation images. Test images do not choose.

        Raises
        ------
        ModelError
            If no model was fine-tuned. The message has the reasons.
        """
        if self.rows:
            return max(self.rows, key=lambda row: row.val.value)
        reasons = "; ".join(f"{failure.model}: {failure.reason}" for failure in self.failures)
        raise ModelError(f"no model was fine-tuned on {self.data}: {reasons or 'none was named'}")

    def __iter__(self) -> Iterator[FinetunedModel]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_polars(self) -> "pl.DataFrame":
        """Return a table with one row per model and protocol, and one per failure with its reason."""
        import polars as pl

        rows: list[dict[str, Any]] = [
            {
                "model": row.model,
                "protocol": row.protocol,
                "test": row.test.value,
                "low": row.test.low,
                "high": row.test.high,
                "val": row.val.value,
                "learning_rate": row.learning_rate,
                "seeds": row.seeds,
                "seconds": row.seconds,
                "reason": None,
            }
            for row in self.rows
        ]
        rows += [{"model": failure.model, "reason": failure.reason} for failure in self.failures]
        return pl.DataFrame(rows, infer_schema_length=None)


def finetune(
    data: str | Path,
    *,
    zoo: str | Path | None = None,
    models: Names = None,
    protocols: Names = None,
    seeds: int | None = None,
    steps: int | None = None,
    budget: float | None = None,
    max_images: int | None = None,
    device: str | None = None,
    params: str | Path | None = None,
    store: str | Path | None = None,
) -> FinetunedModels:
    """Fine-tune models on a data set, and measure their accuracy on its test images.

    It computes what ``itm finetune DATA --runner inline`` does, and shares the store with it. Finished runs are kept, so an
    interrupted call resumes.

    Parameters
    ----------
    data, zoo, models, max_images, device, params, store
        As in `itm.rank`.
    protocols
        ``full`` trains all weights, ``head`` a linear classifier on frozen embeddings. None: both. ``lora`` trains low-rank
        updates of linear layers, ``norm`` normalisation layers and biases, and ``last_block`` the last block.
    seeds
        Runs per protocol, which are averaged.
    steps
        Steps of a final run.
    budget
        Seconds after which no further run begins.

    Raises
    ------
    ItmError
        If an argument is wrong, or the data set cannot be used. The message says what to do.
    """
    chosen, own = read_request(
        data,
        zoo,
        models,
        None,
        params,
        store,
        {
            "data": {"max_images": max_images},
            "extract": {"device": device},
            "finetune": {"protocols": names(protocols), "seeds": seeds, "steps": steps},
            "limits": {"seconds": budget},
        },
    )
    check_request(chosen)
    from itm.finetuning import pairs  # imports torch

    outcomes, _ = pairs.run(chosen, own)
    if reasons := [failure.reason for pair in outcomes if not pair.model for failure in pair.failures]:
        raise DataError("; ".join(reasons))
    return _result(outcomes)


def _result(outcomes: tuple[Outcome, ...]) -> FinetunedModels:
    rows = [row for pair in outcomes for row in _rows(pair)]
    rows.sort(key=lambda row: (row.protocol, -row.test.value))
    failures = tuple(failure for pair in outcomes for failure in pair.failures)
    return FinetunedModels(outcomes[0].data if outcomes else "", tuple(rows), failures)


def _rows(pair: Outcome) -> Iterator[FinetunedModel]:
    from itm.finetuning.accuracy import accuracy

    for protocol in dict.fromkeys(run.protocol for run in pair.runs):
        own = [run for run in pair.runs if run.protocol == protocol]
        first = own[0]
        yield FinetunedModel(
            model=pair.model,
            protocol=protocol,
            test=accuracy([run.test_accuracy for run in own], first.test_images, first.metric),
            val=accuracy([run.val_accuracy for run in own], first.val_images, first.metric),
            learning_rate=first.learning_rate,
            seeds=len(own),
            seconds=sum(run.seconds for run in own),
        )
