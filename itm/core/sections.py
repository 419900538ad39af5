"""Sections of params.yaml that define the results, as frozen records with defaults."""

import logging
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from itm.core.types import Protocol, Resume, SplitName
from itm.core.variants import VariantText, as_list
from itm.core.yaml_records import with_new_names

log = logging.getLogger(__name__)

OLD_SPLITTINGS = {"cross_fitted": "cross_validation", "paper": "holdout"}


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataParams(Record):
    """Sources of the data sets, and their splits.

    At most `max_images` images per data set are sampled evenly over classes; 0 and None mean all. `splits` has the share of the
    images per split; a split that the source defines is kept.
    """

    sets: tuple[str, ...] = ()
    max_images: int | None = Field(None, ge=0)
    splits: dict[SplitName, float] = {"train": 0.6, "val": 0.2, "test": 0.2}
    seed: int = Field(0, ge=0)

    @field_validator("max_images")
    @classmethod
    def _zero_means_all(cls, images: int | None) -> int | None:
        if images == 1:
            raise ValueError("must be 2 or more, or 0 for all")
        return images or None

    @field_validator("splits")
    @classmethod
    def _check_shares(cls, shares: dict[str, float]) -> dict[str, float]:
        if min(shares.values(), default=0) < 0 or not abs(sum(shares.values()) - 1) <= 1e-6:  # NaN fails the comparison
            raise ValueError(f"shares must not be negative and add up to 1; these add up to {sum(shares.values()):g}")
        if not shares.get("train"):
            raise ValueError("train needs a share above 0")
        return shares


class ZooParams(Record):
    """Models to rank: names or wildcards, which are matched in the zoo file or the embedded zoo first, then in timm.

    The `variants` that a model has are ranked as well: "token", "mean" and "token+mean" are ways to pool the tokens of a
    transformer, "block8" ends after eight blocks, and "288" or "96x48" are pixels of the input. They can be joined by "@".

    A factory of the zoo `file` must be in one of the files and folders of `code`. When the network fails, timm weights are
    downloaded in up to `fetch_attempts` attempts. The second one is made after `fetch_wait` seconds, and each further wait is
    twice as long.
    """

    file: Path | None = None
    models: tuple[str, ...] = Field(("*",), min_length=1)
    variants: Annotated[tuple[VariantText, ...], BeforeValidator(as_list)] = ()
    code: tuple[Path, ...] = ()
    fetch_attempts: int = Field(5, ge=1, le=20)
    fetch_wait: float = Field(5, ge=0, le=600)


class ExtractParams(Record):
    """Computation of embeddings.

    So many `decode_workers` threads decode images; with 0, the thread of the model does. `decoded` is how much disk space
    decoded images may take, such as "20 GB": "auto" is a quarter of what is free, and with "off" each model decodes them again.
    """

    batch_size: int | Literal["auto"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: str = "auto"
    decode_workers: int | Literal["auto"] = "auto"
    decoded: int | Literal["auto", "off"] = "auto"
    resume: Resume = "only-missing"

    @field_validator("resume", mode="before")
    @classmethod
    def _never_is_gone(cls, resume: Any) -> Any:
        if resume == "never":
            raise ValueError("'never' no longer exists; use 'only-missing'")
        return resume

    @field_validator("decoded", mode="before")
    @classmethod
    def _read_size(cls, decoded: Any) -> int | str:
        if decoded in ("auto", "off", False):
            return "auto" if decoded == "auto" else "off"  # YAML reads `off` as false
        try:
            if decoded is not True:
                return int(TypeAdapter(ByteSize).validate_python(decoded))
        except ValidationError:
            pass
        raise ValueError("must be a size such as '20 GB', or 'auto' or 'off'")

    @field_validator("batch_size", "decode_workers")
    @classmethod
    def _check_minimum(cls, value: int | str, field: ValidationInfo) -> int | str:
        least = 1 if field.field_name == "batch_size" else 0
        if isinstance(value, int) and value < least:
            raise ValueError(f"must be {least} or more, or 'auto'")
        return value


class ScoreParams(Record):
    """Which scores are computed, on the images of which splits, and how these are split again into folds.

    `cross_validation` deals the images over `folds` parts and tests on each of them what is trained on the others; `holdout`
    tests on one random part of that size. Either is done `repeats` times.
    """

    names: tuple[str, ...] = ("itm", "logme", "knn", "linear_probe")
    rank_by: str = "auto"
    splits: tuple[SplitName, ...] = Field(("train", "val"), min_length=1)
    options: dict[str, dict[str, Any]] = {}
    splitting: Literal["cross_validation", "holdout"] = "cross_validation"
    folds: int = Field(5, ge=2, le=100)
    repeats: int = Field(1, ge=1, le=100)
    seed: int = Field(12357, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _read_old_names(cls, values: Any) -> Any:
        values = with_new_names(values, {"seeds": "repeats"}, removed=("source", "untrained"))
        if isinstance(values, Mapping) and (old := str(values.get("splitting"))) in OLD_SPLITTINGS:
            log.warning("splitting %r is deprecated; it is called %r now", old, OLD_SPLITTINGS[old])
            return {**values, "splitting": OLD_SPLITTINGS[old]}
        return values

    @model_validator(mode="after")
    def _rank_by_is_computed(self) -> "ScoreParams":
        if self.rank_by != "auto" and not any(fnmatchcase(self.rank_by, name) for name in self.names):
            raise ValueError(f"rank_by is {self.rank_by!r}, which is not among the scores computed: {', '.join(self.names)}")
        return self

    @model_validator(mode="after")
    def _has_an_interval(self) -> "ScoreParams":
        if self.splitting == "holdout" and self.repeats == 1:
            raise ValueError(
                "splitting 'holdout' with repeats 1 has one fold and no interval; set repeats to 2 or more (ITM's paper: 5)"
            )
        return self


class FinetuneParams(Record):
    """Fine-tuning, to confirm a ranking or to measure ground truth.

    The protocol "full" trains all weights, "head" a linear classifier on frozen embeddings, "lora" low-rank updates of linear
    layers, "norm" normalisation layers and biases, and "last_block" the last block. The `seeds` final runs of a model, the
    first of them with `seed`, are averaged.

    Each learning rate is tried in the first `search_steps` steps of a run, by default half of `steps`. The rate that is best
    on the validation images is used for the final runs. The rates must span a factor of 100, because models need very different
    ones. With fewer training images per class than `few_images`, they are all divided by `few_images_divisor`. They are
    multiplied by 10 for "lora" and "norm", and by 3 for "last_block".

    `crop` is the smallest share of the area of a training image that a random crop keeps. `mirror` flips half of the training
    images horizontally; it changes the meaning of letters and digits.

    `batch_norm` "train" starts from the statistics of the training images and updates them. "frozen" keeps those of the
    checkpoint. "auto" takes the one with the better linear head on the validation images, and "frozen" for batches below 16.

    `keep_weights` keeps the weights of the best run of each model on each data set, for `itm export`.
    """

    protocols: tuple[Protocol, ...] = Field(("full", "head"), min_length=1)
    seeds: int = Field(2, ge=1, le=100)
    seed: int = Field(0, ge=0)
    learning_rates: tuple[float, ...] = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
    few_images: int = Field(20, ge=0)
    few_images_divisor: float = Field(3.0, ge=1)
    batch_size: int = Field(32, ge=2)
    steps: int = Field(200, ge=1)
    search_steps: int | None = Field(None, ge=1)
    warmup: float = Field(0.1, ge=0, lt=1)
    weight_decay: float = Field(0.05, ge=0)
    evaluations: int = Field(6, ge=1)
    patience: int = Field(3, ge=1)
    crop: float = Field(0.6, gt=0, le=1)
    mirror: bool = False
    batch_norm: Literal["auto", "train", "frozen"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    keep_weights: bool = True

    @field_validator("learning_rates")
    @classmethod
    def _check_span(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        if min(rates, default=0) <= 0 or max(rates) / min(rates) < 100 * (1 - 1e-9):
            raise ValueError("must be positive and span a factor of 100 or more, because models need very different ones")
        return tuple(sorted(set(rates)))

    @field_validator("protocols")
    @classmethod
    def _without_duplicates(cls, protocols: tuple[Protocol, ...]) -> tuple[Protocol, ...]:
        return tuple(dict.fromkeys(protocols))

    @property
    def search(self) -> int:
        """Return the number of steps of a learning-rate search run."""
        return self.search_steps or max(1, self.steps // 2)


class EvaluateParams(Record):
    """Evaluation of the accuracies and scores in the folder `measured`, with so many `resamples` per confidence interval."""

    measured: Path = Path("data/desk")
    resamples: int = Field(1000, ge=100)
    seed: int = Field(0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _read_old_names(cls, values: Any) -> Any:
        return with_new_names(values, {"draws": "resamples"})
