"""Secrets are put in where they are used, and taken out of everything that is said."""

import logging
import sys
from urllib.parse import quote

import pytest

from itm.core import secrets
from itm.core.errors import ParamsError
from itm.core.logs import log_to_terminal
from itm.core.params import Params
from itm.core.secrets import has_password, hidden, remember, revealed, told
from itm.core.yaml_records import parse


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with nothing remembered, and leave nothing to the tests of others."""
    monkeypatch.setattr(secrets, "_remembered", set())


def test_a_name_stands_for_the_environments_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both spellings are replaced by the value at that moment, values are not looked at again, and plain text stays."""
    monkeypatch.setenv("ITM_WORD", "pa$ITM_OTHER")
    assert revealed("postgresql://me:${ITM_WORD}@host/db") == "postgresql://me:pa$ITM_OTHER@host/db"
    assert revealed("$ITM_WORD") == "pa$ITM_OTHER"
    assert revealed("sqlite:///data/mlflow.db") == "sqlite:///data/mlflow.db"
    monkeypatch.setenv("ITM_WORD", "other")
    assert revealed("$ITM_WORD/x") == "other/x"


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """A variable that is not there, or empty, is an error with its name."""
    monkeypatch.delenv("ITM_WORD", raising=False)
    if value is not None:
        monkeypatch.setenv("ITM_WORD", value)
    with pytest.raises(ParamsError, match="no variable ITM_WORD"):
        revealed("postgresql://me:${ITM_WORD}@host/db")


@pytest.mark.parametrize("password", ["s3cret", "p@ss:w/rd", "quo'te\\d\"", "p%2Fq", "nähe"])
def test_every_form_of_a_password_is_hidden(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """The whole URI, the password as it is escaped there and as it is meant are hidden, also written as Python does."""
    uri = f"postgresql://me:{quote(password, safe='')}@host/db?sslmode=require"
    monkeypatch.setenv("ITM_URI", uri)
    assert hidden(f"{uri} {password}") == f"{uri} {password}"
    assert revealed("$ITM_URI") == uri
    said = [uri, uri.partition("?")[0], quote(password, safe=""), password, repr(password), f"{(password,)}"]
    for text in said:
        assert password not in hidden(f"cannot open <{text}>")
        assert quote(password, safe="") not in hidden(f"cannot open <{text}>")
        assert "***" in hidden(f"cannot open <{text}>")
    assert hidden("host is down") == "host is down"


def test_a_driver_that_cuts_a_wrong_uri_shows_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unescaped @ in a password leaves neither half of it in a message, and a password among the options is one too."""
    monkeypatch.setenv("ITM_URI", "postgresql://me:left@right@host/db?password=option1")
    revealed("$ITM_URI")
    text = hidden("could not translate host name 'right@host' for me:left, option1")
    assert not any(part in text for part in ("left", "right", "option1"))


def test_few_letters_are_not_hidden() -> None:
    """A value of one letter would blank every text, and hides nothing."""
    remember("a")
    remember("")
    assert hidden("a banana") == "a banana"


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("postgresql://me:s3cret@host/db", True),
        ("postgresql+psycopg2://:s3cret@host/db", True),
        ("postgresql://me:pre$NAME@host/db", True),
        ("https://me:un/escaped@host", True),
        ("postgresql://host/db?user=me&password=s3cret", True),
        ("https://host/?access_token=s3cret", True),
        ("postgresql://me:$NAME@host/db", False),
        ("postgresql://me:${NAME}@host/db", False),
        ("postgresql://me@host:5432/db", False),
        ("postgresql://host/db?user=me&password=$NAME", False),
        ("http://127.0.0.1:5000", False),
        ("sqlite:////home/a:b@c/mlflow.db", False),
        ("sqlite:///C:/runs@work/mlflow.db", False),
        ("$NAME", False),
        ("secret:name", False),
        ("auto", False),
    ],
)
@pytest.mark.parametrize("key", ["uri", "artifacts"])
def test_params_refuse_a_password_in_the_clear(uri: str, found: bool, key: str) -> None:
    """A URI with a password is refused with what to do instead, and the refusal does not repeat it."""
    assert has_password(uri) is found
    if not found:
        assert parse({"track": {key: uri}}, Params, "params.yaml").track.model_dump()[key] == uri
        return
    with pytest.raises(ParamsError) as caught:
        parse({"track": {key: uri}}, Params, "params.yaml")
    assert str(caught.value).startswith(f"params.yaml: track.{key}: carries a password in the clear; put the whole URI into an")
    assert "$NAME" in str(caught.value)
    assert not any(part in str(caught.value) for part in ("s3cret", "pre$NAME", "un/escaped"))


@pytest.mark.usefixtures("own_logger")
def test_errors_and_the_commands_log_are_discreet(capsys: pytest.CaptureFixture[str]) -> None:
    """What a user is told of an error, and a logged message with its traceback, have no secret in them."""
    remember("postgresql://me:s3cret@host/db")
    assert told(ParamsError("no postgresql://me:s3cret@host/db")) == "no ***"
    assert told(OSError("bad password s3cret")) == "OSError: bad password ***"
    log_to_terminal()
    try:
        raise OSError("bad password s3cret")
    except OSError:
        logging.getLogger("itm.somewhere").exception("not tracked in %s", "postgresql://me:s3cret@host/db")
    sys.stderr.flush()
    printed = capsys.readouterr().err
    assert "not tracked in ***" in printed
    assert "OSError: bad password ***" in printed
    assert "s3cret" not in printed
