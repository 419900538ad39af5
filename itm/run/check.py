"""Checks of a request before anything heavy is imported, started or written."""

from contextlib import suppress
from pathlib import Path

from itm.core.errors import DataError, ModelError, ParamsError
from itm.core.params import Params
from itm.core.sections import DataParams, ZooParams
from itm.data.ingest import check_names
from itm.data.sources.parse import local_path, parse_source
from itm.scores import expand, make
from itm.store.layout import check_writable
from itm.zoo.filters import bounds
from itm.zoo.resolve import is_any_known, resolve
from itm.zoo.zoo_file import read_zoo_file

AUTO = "auto"
WITHOUT_TORCH = ("auto", "cpu")  # devices that every machine has


def check(params: Params) -> None:
    """Find what is wrong with the parameters as a whole.

    It is an error if no data set is named or two have the same name, the zoo file cannot be read, the device is missing, or a
    score or one of its options is unknown.
    """
    check_names(params.data.sets)
    has_own_embeddings(params.data)
    if params.zoo.file:
        read_zoo_file(params.zoo.file)
    if params.filters.licences:
        bounds(params.filters, read_zoo_file(params.zoo.file, params.zoo.code).models.values() if params.zoo.file else ())
    for name in {*expand(params.score.names), *params.score.options, params.score.rank_by} - {AUTO}:
        make(name, params.score.options.get(name))
    if params.extract.device not in WITHOUT_TORCH:
        from itm.features.devices import device  # imports torch

        device(params.extract.device)


def has_own_embeddings(data: DataParams) -> bool:
    """Return whether the data sets are embeddings that the user has computed.

    Raises
    ------
    ParamsError
        If others have images: the models of embeddings are their files, and those of images are the zoo.
    """
    kinds: dict[bool, str] = {}
    for text in data.sets:
        with suppress(DataError):  # it fails alone
            kinds[parse_source(text).source.has_images] = text
    if len(kinds) == 2:
        raise ParamsError(f"{kinds[False]} has embeddings and {kinds[True]} has images; rank them in separate runs.")
    return False in kinds


def check_request(params: Params) -> None:
    """Find why a command cannot have any result, in addition to `check`.

    Then nothing is started or written. A data set or a model that is missing beside others is a failure in the result instead.
    """
    check(params)
    check_data(params.data, params.store)
    if not has_own_embeddings(params.data):
        _check_models(params.zoo)


def check_data(data: DataParams, store: Path) -> None:
    """Check that there is a data set, and that the store can be written."""
    check_names(data.sets)
    missing = [problem for source in data.sets if (problem := _missing(source))]
    if len(missing) == len(data.sets):
        raise DataError("\n".join(missing))
    check_writable(store / "indexes")


def _missing(text: str) -> str:
    """Return why a data set that names a local folder or file is missing, or nothing."""
    path = local_path(text)
    if path is None or path.exists():
        return ""
    relative = "" if path.is_absolute() else f", which is relative to {Path.cwd()}"
    return f"{text}: {path} does not exist; check the path{relative}."


def _check_models(zoo: ZooParams) -> None:
    """Check that at least one model can be resolved. timm, which takes seconds to import, is only asked if none is known."""
    if is_any_known(zoo):
        return
    models, failures = resolve(zoo.model_copy(update={"variants": ()}))
    if not models and failures:
        raise ModelError("\n".join(f"{failure.model}: {failure.reason}" for failure in failures))
