"""YAML files as records: an unknown key or a wrong value is an error that names the place and the nearest word."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from itm.core.errors import ParamsError, did_you_mean
from itm.core.secrets import hidden

Parsed = TypeVar("Parsed", bound=BaseModel)


def read_yaml(path: Path, record: type[Parsed]) -> Parsed:
    """Read a YAML file into `record`.

    Raises
    ------
    ParamsError
        If the file is missing, is no text, is not YAML, or holds an unknown key or a wrong value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: is not a text file; it must be YAML.") from error
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror}).") from error
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    return parse(values or {}, record, str(path))


def parse(values: Any, record: type[Parsed], where: str) -> Parsed:
    """Turn plain values into `record`; `where` opens the message of the ParamsError raised otherwise."""
    try:
        return record.model_validate(values)
    except ValidationError as error:
        raise ParamsError(
            "\n".join(f"{where}: {_explain(e, record)}" for e in sorted(error.errors(), key=_unknown_first))
        ) from None


def _unknown_first(error: Any) -> bool:
    return bool(error["type"] != "extra_forbidden")


def _explain(error: Any, record: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = _known_keys(record, error["loc"][:-1])
        return f"unknown key {place!r}{did_you_mean(str(error['loc'][-1]), known)} Known here: {', '.join(known)}."
    got = (
        ""
        if error["type"] == "missing"
        else f" (got {hidden(error['input'])[:100]!r})"
        if isinstance(error["input"], str)
        else f" (got {hidden(str(error['input']))[:100]})"
    )
    return f"{place or 'value'}: {error['msg'].removeprefix('Value error, ')}{got}."


def _known_keys(record: type[BaseModel], place: tuple[Any, ...]) -> list[str]:
    for part in place:
        if isinstance(part, str) and part in record.model_fields:
            annotation = record.model_fields[part].annotation
            inner = [annotation, *getattr(annotation, "__args__", ())]
            record = next((a for a in inner if isinstance(a, type) and issubclass(a, BaseModel)), record)
    return list(record.model_fields)
