"""The sections of params.yaml, as frozen records with their defaults."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from itm.core.secrets import has_password
from itm.core.types import Protocol, Resume, SplitName


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataParams(Record):
    """Which data sets, how many of their images, and how they are split."""

    sets: tuple[str, ...] = ()
    max_images: int | None = Field(None, ge=0)
    splits: dict[SplitName, float] = {"train": 0.6, "val": 0.2, "test": 0.2}
    seed: int = Field(0, ge=0)

    @field_validator("max_images")
    @classmethod
    def _none_is_all(cls, images: int | None) -> int | None:
        if images == 1:
            raise ValueError("must be 2 or more, or 0 for all")
        return images or None

    @field_validator("splits")
    @classmethod
    def _shares(cls, shares: dict[str, float]) -> dict[str, float]:
        if min(shares.values(), default=0) < 0 or not abs(sum(shares.values()) - 1) <= 1e-6:  # not a number is neither
            raise ValueError(f"shares must not be negative and add up to 1; these add up to {sum(shares.values()):g}")
        if not shares.get("train"):
            raise ValueError("train needs a share above 0")
        return shares


class ZooParams(Record):
    """Which models: names or wildcards of the zoo file first, of timm after.

    A factory of the zoo file runs code, so it must be one of the files `code`, or lie in one of its folders. Weights of timm
    are fetched before any work, in `fetch_attempts` rounds where the network fails; the first pause has `fetch_wait` seconds,
    each further one twice those of the last.
    """

    file: Path | None = None
    models: tuple[str, ...] = Field(("*",), min_length=1)
    code: tuple[Path, ...] = ()
    fetch_attempts: int = Field(5, ge=1, le=20)
    fetch_wait: float = Field(5, ge=0, le=600)


class ExtractParams(Record):
    """How embeddings are computed."""

    batch_size: int | Literal["auto"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    device: str = "auto"
    decode_workers: int | Literal["auto"] = "auto"
    resume: Resume = "only-missing"

    @field_validator("batch_size", "decode_workers")
    @classmethod
    def _not_too_small(cls, value: int | str, field: ValidationInfo) -> int | str:
        least = 1 if field.field_name == "batch_size" else 0
        if isinstance(value, int) and value < least:
            raise ValueError(f"must be {least} or more, or 'auto'")
        return value


class ScoreParams(Record):
    """Which scores on the images of which splits, and how these are split again into what is learnt from and what is judged.

    `cross_fitted` deals them over `folds` parts, once a seed, so that each is judged by what never saw it; `paper` holds one
    random part of that size out a seed.
    """

    names: tuple[str, ...] = ("itm", "logme", "knn", "linear_probe")
    rank_by: str = "itm"
    splits: tuple[SplitName, ...] = Field(("train", "val"), min_length=1)
    options: dict[str, dict[str, Any]] = {}
    splitting: Literal["cross_fitted", "paper"] = "cross_fitted"
    folds: int = Field(5, ge=2, le=100)
    seeds: int = Field(1, ge=1, le=100)
    seed: int = Field(12357, ge=0)

    @model_validator(mode="after")
    def _rank_by_is_computed(self) -> "ScoreParams":
        if not any(fnmatchcase(self.rank_by, name) for name in self.names):
            raise ValueError(f"rank_by is {self.rank_by!r}, which is not among the scores computed: {', '.join(self.names)}")
        return self

    @model_validator(mode="after")
    def _draws_vary(self) -> "ScoreParams":
        if self.splitting == "paper" and self.seeds == 1:
            raise ValueError(
                "splitting 'paper' with seeds 1 is a single draw and has no interval; set seeds to 2 or more (the paper: 5)"
            )
        return self


class FinetuneParams(Record):
    """How models are fine-tuned, to confirm a ranking's first or to make ground truth.

    `full` trains every weight, `head` a linear classifier on fixed embeddings. `seeds` runs each, from `seed` on, are averaged.
    Every learning rate has a short run of `search_steps` (a quarter of `steps` where nothing is said); the best on the
    validation images has the final runs. One fixed rate would decide which models win, so the rates must span a factor of 100.
    With fewer than `few_images` training images a class, all rates are divided by `few_images_divisor`. `crop` is the smallest
    share of a training image that a random crop keeps. `mirror` flips half of them, which changes what letters and digits mean.
    `batch_norm` "train" begins with the statistics of the training images and lets them move, "frozen" keeps those of the
    checkpoint; "auto" does what a linear head prefers on the validation images, and "frozen" in batches of fewer than 16.
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

    @field_validator("learning_rates")
    @classmethod
    def _wide(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        if min(rates, default=0) <= 0 or max(rates) / min(rates) < 100 * (1 - 1e-9):
            raise ValueError(
                "must be positive and span a factor of 100 or more, since models differ that much in what they need"
            )
        return tuple(sorted(set(rates)))

    @field_validator("protocols")
    @classmethod
    def _each_once(cls, protocols: tuple[Protocol, ...]) -> tuple[Protocol, ...]:
        return tuple(dict.fromkeys(protocols))

    @property
    def search(self) -> int:
        """Return the steps of a run that a learning rate is judged by."""
        return self.search_steps or max(1, self.steps // 4)


class EvaluateParams(Record):
    """Where the measured accuracies and scores lie that `itm evaluate` judges by, and how its intervals are drawn."""

    measured: Path = Path("data/desk")
    draws: int = Field(1000, ge=100)
    seed: int = Field(0, ge=0)


class RunnerParams(Record):
    """Who does the work: `inline` is the library alone, the others are Prefect task runners.

    `dask` asks the scheduler at `address`, or starts `workers` processes here where none is given. Where workers declare `GPU`
    resources, each extraction or fine-tuning takes one of them; scores are computed beside it. `together` models that follow
    each other in the zoo are scored by one task of the flow, those of equal width in one program on an accelerator; elsewhere
    it wins nothing. A worker that is lost has its pairs computed by another, up to `attempts` times.
    """

    kind: Literal["inline", "threads", "processes", "dask"] = "threads"
    workers: int = Field(2, ge=1)
    together: int = Field(1, ge=1)
    address: str | None = None
    attempts: int = Field(3, ge=1)

    @model_validator(mode="after")
    def _address_is_used(self) -> "RunnerParams":
        if self.address and self.kind != "dask":
            raise ValueError(f"address is {self.address!r}, but the kind is {self.kind!r}; only 'dask' has an address")
        return self


class LimitParams(Record):
    """What one run may spend, after which it ranks what it has and says what is missing; None is no limit.

    `seconds` are by the wall from the first pair on, `device_seconds` those of all extractions together. What runs when they
    are over is finished. `max_models` takes the first of the zoo.
    """

    max_models: int | None = Field(None, ge=1)
    seconds: float | None = Field(None, ge=0)
    device_seconds: float | None = Field(None, ge=0)


class RefreshParams(Record):
    """How `itm refresh` ends: what it does beside ranking.

    The alias moves to a winner that cannot be told from what is recommended only if `within_noise` says so. A refresh that
    finds another at work waits so many seconds for its end. `version` commits what came out to DVC, and pushes it where a
    remote is set.
    """

    within_noise: bool = False
    wait: float = Field(3600, ge=0)
    version: bool = True


class TrackParams(Record):
    """Where MLflow keeps its runs, "auto" being a database in the store; no URI turns tracking off.

    `$NAME` takes what is secret from the environment of whoever logs, `secret:NAME` the whole URI from a Secret of Prefect.
    `recommend` says whether the winner may take the alias `recommended`.
    """

    uri: str | None = "auto"
    artifacts: str = "auto"
    recommend: bool = True

    @field_validator("uri", "artifacts")
    @classmethod
    def _holds_no_password(cls, uri: str | None) -> str | None:
        if uri and has_password(uri):
            raise ValueError("carries a password in the clear; put the whole URI into an environment variable and write $NAME")
        return uri
