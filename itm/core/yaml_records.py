"""Read YAML files into records. The message for an unknown key or a wrong value names the key and the nearest known one."""

import logging
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from itm.core.errors import ParamsError, cause, did_you_mean, fix
from itm.core.secrets import hide_secrets

log = logging.getLogger(__name__)

Parsed = TypeVar("Parsed", bound=BaseModel)

# Rules in the words of pydantic, and in words of YAML.
_RULES = {
    "Value error, ": "",
    "Input should be": "must be",
    "Tuple should have": "must have",
    "a valid tuple": "a list",
    "a valid dictionary": "a mapping",
    "a valid string": "text",
    "a valid integer": "a whole number",
    "a valid boolean": "true or false",
}


def read_yaml(path: Path, record: type[Parsed]) -> Parsed:
    """Read a YAML file into `record`.

    Raises
    ------
    ParamsError
        If the file is missing, is not text, is not YAML, or has an unknown key or a wrong value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: is not a text file; it must be YAML.") from error
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({cause(error)}); {fix(error)}.") from error
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or cause(error)
        raise ParamsError(f"{path}: is not valid YAML{place}: {problem}; correct it.") from error
    return parse(values or {}, record, str(path))


def parse(values: Any, record: type[Parsed], where: str, label: Callable[[str], str] | None = None) -> Parsed:
    """Validate plain values as a `record`. `label` returns what a message calls a key; by default, `where` and the key.

    Raises
    ------
    ParamsError
        If a key or a value is wrong. The message has one line for each.
    """
    try:
        return record.model_validate(values)
    except ValidationError as error:
        errors = [found for found in error.errors() if not _is_left_over(found)]
        errors.sort(key=lambda e: e["type"] != "extra_forbidden")  # unknown keys first
        raise ParamsError("\n".join(_explain(e, record, where, label) for e in errors)) from None


def with_new_names(values: Any, renamed: Mapping[str, str], removed: Collection[str] = ()) -> Any:
    """Return values with renamed keys under their new names and without removed keys. Each old name is logged as deprecated."""
    if not isinstance(values, Mapping):
        return values
    found = dict(values)
    for old in [key for key in values if key in renamed]:
        log.warning("%s is deprecated; it is called %s now", old, renamed[old])
        found[renamed[old]] = found.pop(old)
    for old in [key for key in values if key in removed]:
        log.warning("%s is ignored: nothing uses it any more; remove it", old)
        del found[old]
    return found


def _is_left_over(error: Any) -> bool:
    """Return whether a list is too short only because wrong items of it, which have lines of their own, do not count."""
    return bool(error["type"] == "too_short" and len(error["input"]) > error["ctx"]["actual_length"])


def _explain(error: Any, record: type[BaseModel], where: str, label: Callable[[str], str] | None) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = _known_keys(record, error["loc"][:-1])
        near = did_you_mean(str(error["loc"][-1]), known)
        return f"{where}: unknown key {key!r}{near} Known here: {', '.join(known) or 'none'}."
    if not key and error["type"] == "value_error":  # the message of a check of the whole record is complete
        return f"{where}: {_rule(error)}."
    shown = hide_secrets(str(error["input"]))[:100]
    got = "" if error["type"] == "missing" else f" (got {shown!r})" if isinstance(error["input"], str) else f" (got {shown})"
    values = re.findall("'(.+?)'", error["ctx"]["expected"]) if error["type"] == "literal_error" else ()
    name = label(key) if label else f"{where}: {key or 'value'}"
    return f"{name}: {_rule(error)}{got}{did_you_mean(str(error['input']), values)}"


def _rule(error: Any) -> str:
    rule = re.sub(r" or instance of \w+", "", str(error["msg"]))
    for words, plain in _RULES.items():
        rule = rule.replace(words, plain)
    return rule


def _known_keys(record: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    for part in location:
        if isinstance(part, str) and part in record.model_fields:
            annotation = record.model_fields[part].annotation
            inner = [annotation, *getattr(annotation, "__args__", ())]
            record = next((a for a in inner if isinstance(a, type) and issubclass(a, BaseModel)), record)
    return list(record.model_fields)
