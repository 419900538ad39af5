"""Secrets in parameters and messages.

Parameters, records and files hold only `$NAME`. `reveal` reads the value from the environment where it is needed and
remembers it. `hide_secrets` removes remembered values from messages, because drivers and servers repeat them.
"""

import os
import re
from urllib.parse import quote, unquote

from itm.core.errors import ItmError, ParamsError, cause, fix, is_expected, printable

SHORTEST = 4  # characters; hiding shorter strings would garble ordinary text
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_PASSWORD = re.compile(r"://[^:/@]*:(.*)@|[?&](?:\w*password|passwd|pwd|\w*token|\w*secret\w*)=([^&#]*)", re.IGNORECASE)
_USER = re.compile(r"://.*@", re.DOTALL)  # up to the last @: a password can contain others
_remembered: set[str] = set()


def reveal(text: str) -> str:
    """Return `text` with `$NAME` and `${NAME}` replaced by environment variables. The values are remembered as secrets.

    Raises
    ------
    ParamsError
        If a variable is missing or empty.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not os.environ.get(name):
            raise ParamsError(f"params use ${name}, but the environment variable {name} is not set; set it on this machine.")
        remember_secret(os.environ[name])
        return os.environ[name]

    revealed = _VARIABLE.sub(value, text)
    if revealed != text:
        remember_secret(revealed)
    return revealed


def remember_secret(secret: str) -> None:
    """Make `hide_secrets` replace this text, and the passwords in it if it is a URI, escaped or not."""
    for text in (secret, *_passwords(secret)):
        for form in (text, unquote(text), quote(unquote(text), safe="")):
            _remembered.update(spelling for spelling in (form, repr(form)[1:-1]) if len(spelling) >= SHORTEST)


def hide_secrets(text: str) -> str:
    """Return `text` with every remembered secret replaced by ``***``."""
    for secret in sorted(_remembered, key=len, reverse=True):  # longest first: a password is part of its URI
        text = text.replace(secret, "***")
    return text


def has_password(uri: str) -> bool:
    """Return whether a URI contains a plain password. If so, remember it: the error message must not show it."""
    is_plain = any(password and not _VARIABLE.fullmatch(password) for password in _passwords(uri))
    if is_plain:
        remember_secret(uri)
    return is_plain


def public_address(uri: str) -> str:
    """Return the address of a server without user, password, query and fragment.

    >>> public_address("https://me:pa/s@s?@example.org:5000/ml?token=1")
    'https://example.org:5000/ml'
    """
    return re.split("[?#]", _USER.sub("://", uri), maxsplit=1)[0]


def _passwords(uri: str) -> list[str]:
    """Return the passwords of a URI, and the parts of one with an unescaped @, where a driver may split it."""
    passwords = [match[1] or match[2] for match in _PASSWORD.finditer(uri)]
    return [part for password in passwords if password for part in (password, *password.split("@"))]


def error_message(error: BaseException) -> str:
    """Return one line about an error, without secrets and never empty.

    It is the message of an `ItmError`; path, cause and fix of an error of the system; type and message of any other error.
    """
    if isinstance(error, ItmError) and str(error).strip():
        text = str(error)
    elif is_expected(error) and not isinstance(error, ItmError):
        path = getattr(error, "filename", None)
        text = f"{f'{path}: ' if path else ''}{cause(error)}; {fix(error)}."
    else:
        text = cause(error) if not str(error).strip() else f"{type(error).__name__}: {cause(error)}"
    return printable(hide_secrets(text))
