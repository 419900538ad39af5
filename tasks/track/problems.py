"""Errors of databases, servers and MLflow, in one line with the thing, the cause and the fix."""

import re
from collections.abc import Iterator

from itm.core.errors import ItmError
from itm.core.secrets import error_message

OFF = "or set track.uri to null to go without tracking."
MOVE = "move the file away, and the next run makes a new one"
# What a message contains, the cause, and the fix. The first match counts.
_KNOWN = (
    (r"database is locked", "another process holds it locked", "end that process or wait, then run the same command again"),
    (r"readonly database|read-only", "it is read-only", "allow writing to the file and its folder"),
    (r"disk is full|No space left", "the disk is full", "free space"),
    (r"file is not a database|malformed", "it is damaged, or no SQLite database", MOVE),
    (r"unable to open database file|Permission denied", "it cannot be opened", "allow reading and writing there"),
    (
        r"out-of-date database schema|Can't locate revision|no such table|no such column",
        "it was made by another version of MLflow",
        f"use that version, or back it up and run `mlflow db upgrade {{uri}}`, or {MOVE}",
    ),
    (
        r"unsupported URI|[Uu]nsupported .*scheme",
        "MLflow does not support this kind of address",
        "use sqlite:, postgresql: or http:",
    ),
    (r"Failed to resolve|Name or service not known", "there is no such host", "correct track.uri"),
    (
        r"refused|Max retries|timed out|timeout|unreachable|RemoteDisconnected",
        "it does not answer",
        "start it, or correct track.uri",
    ),
    (
        r"error code 40[13]\b",
        "it refuses access",
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    ),
    (r"error code 404\b", "it is no MLflow server", "correct track.uri"),
    (r"error code 5\d\d\b|INTERNAL_ERROR", "the server has an error", "see its log"),
)


def tracking_error(error: Exception, uri: str) -> str:
    """Return one line about an error of tracking; `uri` is the address as the parameters write it."""
    if isinstance(error, ItmError):
        return error_message(error)
    text = "\n".join(str(one) for one in _causes(error))
    for pattern, cause, fix in _KNOWN:
        if re.search(pattern, text):
            return f"the MLflow store {uri} cannot be used: {cause}; {fix.format(uri=uri)}, {OFF}"
    words = " ".join(error_message(error).partition("\n[SQL")[0].split())[:300]
    return f"the MLflow store {uri} reported an error; check track.uri, {OFF.removesuffix('.')}. Its words: {words}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
