"""Secrets: params say where one is, it is put in where it is used, and it is taken out of everything that is said.

Params, records, flow parameters and files hold `$NAME` alone. What a name stood for is remembered in this process, so that
messages of drivers and servers, which know no better, can be cleared of it.
"""

import os
import re
from urllib.parse import quote, unquote

from itm.core.errors import ItmError, ParamsError

SHORTEST = 4  # letters; hiding fewer would spoil every text and protect nothing
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_PASSWORD = re.compile(r"://[^:/@]*:(.*)@|[?&](?:\w*password|passwd|pwd|\w*token|\w*secret\w*)=([^&#]*)", re.IGNORECASE)
_remembered: set[str] = set()


def revealed(text: str) -> str:
    """Return `text` with the environment's values in the place of `$NAME` and `${NAME}`; they are remembered to be hidden.

    Raises
    ------
    ParamsError
        If there is no such variable, or it is empty.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not os.environ.get(name):
            raise ParamsError(f"the environment has no variable {name}, which params name as ${name}; set it where this runs.")
        remember(os.environ[name])
        return os.environ[name]

    whole = _VARIABLE.sub(value, text)
    if whole != text:
        remember(whole)
    return whole


def remember(secret: str) -> None:
    """Have `hidden` replace a secret from now on and, where it is a URI, its password alone, escaped or not."""
    for one in (secret, *_passwords(secret)):
        for form in (one, unquote(one), quote(unquote(one), safe="")):
            _remembered.update(written for written in (form, repr(form)[1:-1]) if len(written) >= SHORTEST)


def hidden(text: str) -> str:
    """Return `text` with ``***`` in the place of every secret that was remembered."""
    for secret in sorted(_remembered, key=len, reverse=True):  # a password may be a part of a URI
        text = text.replace(secret, "***")
    return text


def has_password(uri: str) -> bool:
    """Say whether a URI carries a password in the clear, and remember it if so: it must not be said in the complaint either."""
    found = any(password and not _VARIABLE.fullmatch(password) for password in _passwords(uri))
    if found:
        remember(uri)
    return found


def _passwords(uri: str) -> list[str]:
    """Return the passwords of a URI, with their parts where an @ was not escaped, since a driver may cut there."""
    found = [match[1] or match[2] for match in _PASSWORD.finditer(uri)]
    return [part for password in found if password for part in (password, *password.split("@"))]


def told(error: Exception) -> str:
    """Return what to tell a user of an error: our own message, or the type and message of one that nobody foresaw.

    Secrets that were used in this process are hidden in it.
    """
    return hidden(str(error) if isinstance(error, ItmError) else f"{type(error).__name__}: {error}")
