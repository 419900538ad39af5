"""Secrets are read from the environment and hidden in messages."""

import logging
import sys
from urllib.parse import quote

import pytest

from itm.core import secrets
from itm.core.errors import ParamsError
from itm.core.logs import log_to_terminal
from itm.core.params import Params
from itm.core.secrets import error_message, has_password, hide_secrets, remember_secret, reveal
from itm.core.yaml_records import parse


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test without remembered secrets."""
    monkeypatch.setattr(secrets, "_remembered", set())


def test_names_are_replaced_by_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITM_WORD", "pa$ITM_OTHER")
    assert reveal("postgresql://me:${ITM_WORD}@host/db") == "postgresql://me:pa$ITM_OTHER@host/db"
    assert reveal("$ITM_WORD") == "pa$ITM_OTHER"
    assert reveal("sqlite:///data/mlflow.db") == "sqlite:///data/mlflow.db"
    monkeypatch.setenv("ITM_WORD", "other")
    assert reveal("$ITM_WORD/x") == "other/x"


@pytest.mark.parametrize("value", [None, ""])
def test_missing_variable_is_an_error(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("ITM_WORD", raising=False)
    if value is not None:
        monkeypatch.setenv("ITM_WORD", value)
    with pytest.raises(ParamsError, match="environment variable ITM_WORD is not set"):
        reveal("postgresql://me:${ITM_WORD}@host/db")


@pytest.mark.parametrize("password", ["s3cret", "p@ss:w/rd", "quo'te\\d\"", "p%2Fq", "nähe"])
def test_every_form_of_a_password_is_hidden(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    uri = f"postgresql://me:{quote(password, safe='')}@host/db?sslmode=require"
    monkeypatch.setenv("ITM_URI", uri)
    assert hide_secrets(f"{uri} {password}") == f"{uri} {password}"
    assert reveal("$ITM_URI") == uri
    said = [uri, uri.partition("?")[0], quote(password, safe=""), password, repr(password), f"{(password,)}"]
    for text in said:
        assert password not in hide_secrets(f"cannot open <{text}>")
        assert quote(password, safe="") not in hide_secrets(f"cannot open <{text}>")
        assert "***" in hide_secrets(f"cannot open <{text}>")
    assert hide_secrets("host is down") == "host is down"


def test_parts_of_an_unescaped_password_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITM_URI", "postgresql://me:left@right@host/db?password=option1")
    reveal("$ITM_URI")
    text = hide_secrets("could not translate host name 'right@host' for me:left, option1")
    assert not any(part in text for part in ("left", "right", "option1"))


def test_short_values_are_not_hidden() -> None:
    remember_secret("a")
    remember_secret("")
    assert hide_secrets("a banana") == "a banana"


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
def test_params_reject_plain_passwords(uri: str, found: bool, key: str) -> None:
    assert has_password(uri) is found
    if not found:
        assert parse({"track": {key: uri}}, Params, "params.yaml").track.model_dump()[key] == uri
        return
    with pytest.raises(ParamsError) as caught:
        parse({"track": {key: uri}}, Params, "params.yaml")
    assert str(caught.value).startswith(f"params.yaml: track.{key}: contains a plain password; put the whole URI into an")
    assert "$NAME" in str(caught.value)
    assert not any(part in str(caught.value) for part in ("s3cret", "pre$NAME", "un/escaped"))


@pytest.mark.usefixtures("own_logger")
def test_errors_and_logs_contain_no_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    remember_secret("postgresql://me:s3cret@host/db")
    assert error_message(ParamsError("no postgresql://me:s3cret@host/db")) == "no ***"
    assert error_message(OSError("bad password s3cret")) == "OSError: bad password ***"
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
