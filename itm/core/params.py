"""The content of params.yaml as frozen records with defaults, and its sections on how and where a run is executed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from itm.core.filter_section import FilterParams
from itm.core.secrets import has_password
from itm.core.sections import DataParams, EvaluateParams, ExtractParams, FinetuneParams, Record, ScoreParams, ZooParams
from itm.core.yaml_records import parse, read_yaml


class RunnerParams(Record):
    """Execution of a run: "inline" runs in this process without Prefect, the other kinds are Prefect task runners.

    With "dask", `address` is that of the scheduler. Without it, `workers` processes are started on this machine. Where workers
    of the scheduler declare ``GPU`` resources, each extraction or fine-tuning uses one.

    One task scores `together` consecutive models. On an accelerator, models of equal width are scored in one batch. On a CPU
    this gives no speedup. A (model, data) pair whose worker is lost is tried `attempts` times.
    """

    kind: Literal["inline", "threads", "processes", "dask"] = "threads"
    workers: int = Field(2, ge=1)
    together: int = Field(1, ge=1)
    address: str | None = None
    attempts: int = Field(3, ge=1)

    @model_validator(mode="after")
    def _address_needs_dask(self) -> "RunnerParams":
        if self.address and self.kind != "dask":
            raise ValueError(f"address is {self.address!r}, but the kind is {self.kind!r}; only 'dask' has an address")
        return self


class LimitParams(Record):
    """Limits of one run: the first models of the zoo, seconds since the first pair, and seconds of all extractions.

    None means no limit. When a limit is reached, running pairs are finished, the available results are ranked, and the missing
    ones are listed.
    """

    max_models: int | None = Field(None, ge=1)
    seconds: float | None = Field(None, ge=0)
    device_seconds: float | None = Field(None, ge=0)


class RefreshParams(Record):
    """Behaviour of `itm refresh`.

    With `within_noise`, a new winner is recommended even if its lead over the recommended model is within noise. `wait` is the
    number of seconds to wait for another refresh to finish. After the ranking, a model is selected with the budget `select`,
    such as "30m", unless it is None. With `version`, the results are committed to DVC, and pushed if a remote is configured.
    """

    within_noise: bool = False
    wait: float = Field(3600, ge=0)
    select: str | None = None
    version: bool = True


class TrackParams(Record):
    """MLflow tracking.

    The `uri` "auto" is a database in the store, and None turns tracking off. ``$NAME`` reads a secret from the environment,
    ``secret:NAME`` reads the URI from a Prefect Secret block. `artifacts` is a location; "auto" is a folder in the store. With
    `recommend`, the winner is recorded as the recommended model and takes the alias ``recommended``. Trials never do that.
    """

    uri: str | None = "auto"
    artifacts: str = "auto"
    recommend: bool = True

    @field_validator("uri", "artifacts")
    @classmethod
    def _holds_no_password(cls, uri: str | None) -> str | None:
        if uri and has_password(uri):
            raise ValueError("contains a plain password; put the whole URI into an environment variable and write $NAME")
        return uri


class Params(Record):
    """The content of params.yaml.

    `store` is the folder of the store, on each machine. `shared` is the URL of a folder in which machines without a common disk
    share files; ``$NAME`` reads it from the environment.
    """

    data: DataParams = DataParams()
    zoo: ZooParams = ZooParams()
    extract: ExtractParams = ExtractParams()
    score: ScoreParams = ScoreParams()
    finetune: FinetuneParams = FinetuneParams()
    evaluate: EvaluateParams = EvaluateParams()
    runner: RunnerParams = RunnerParams()
    filters: FilterParams = FilterParams()
    limits: LimitParams = LimitParams()
    refresh: RefreshParams = RefreshParams()
    track: TrackParams = TrackParams()
    store: Path = Path("data")
    shared: str | None = None

    @field_validator("store")
    @classmethod
    def _fits_into_an_address(cls, store: Path) -> Path:
        if marks := [mark for mark in "?#" if mark in str(store)]:
            raise ValueError(f"contains {marks[0]!r}, which the address of a database cannot have; choose another folder")
        return store

    @property
    def tracking(self) -> TrackParams:
        """Return the tracking parameters with "auto" resolved."""
        uri = f"sqlite:///{self.store}/mlflow.db" if self.track.uri == "auto" else self.track.uri
        artifacts = f"{self.store}/mlruns" if self.track.artifacts == "auto" else self.track.artifacts
        return self.track.model_copy(update={"uri": uri, "artifacts": artifacts})


def with_overrides(params: Params, label: Callable[[str], str] | None = None, **changes: dict[str, Any]) -> Params:
    """Return `params` with some values replaced, after validation. None keeps a value. `label` is that of `parse`.

    >>> with_overrides(Params(), score={"repeats": 3}).score.repeats
    3
    """
    values = params.model_dump()
    for section, change in changes.items():
        values[section] = values[section] | {k: v for k, v in change.items() if v is not None}
    return parse(values, Params, "options", label)


def find_params(path: Path | None) -> Params:
    """Read `path`. Without it, read params.yaml of the working directory if it exists, else return the defaults."""
    chosen = path or Path("params.yaml")
    return read_yaml(chosen, Params) if path or chosen.exists() else Params()
