"""What `itm doctor` says of the machine."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from itm.run import system_checks
from itm.run.findings import Finding

VARIABLES = ("PREFECT_API_URL", "PREFECT_HOME", "OMP_WAIT_POLICY", *system_checks.PROXIES)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


def found() -> dict[str, Finding]:
    return {finding.what: finding for finding in system_checks.check_system()}


def test_a_clean_machine_has_nothing_wrong(tmp_path):
    results = found()
    assert [name for name, finding in results.items() if not finding.good] == []
    assert results["prefect home"].mark == "note"
    (tmp_path / ".prefect").mkdir()
    assert found()["prefect home"].mark == "ok  "


def test_a_home_that_cannot_be_written_is_wrong(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file"))
    assert "cannot be written; set PREFECT_HOME to a folder that can be, or use" in found()["prefect home"].text


def test_no_home_directory_is_wrong(monkeypatch):
    monkeypatch.setattr("pathlib.Path.expanduser", lambda _: (_ for _ in ()).throw(RuntimeError("no home")))
    assert "set HOME or PREFECT_HOME" in found()["prefect home"].text


@pytest.mark.parametrize("address", ["http://user:geheim@127.0.0.1:9/api", "nonsense"])
def test_a_server_that_does_not_answer_is_wrong(monkeypatch, address):
    monkeypatch.setenv("PREFECT_API_URL", address)
    finding = found()["prefect server"]
    assert finding.mark == "FAIL"
    assert "unset the variable" in finding.text
    assert "geheim" not in finding.text


def test_proxies_are_named_without_their_passwords(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://user:geheim@proxy:8080")
    text = found()["proxy"].text
    assert text == "HTTPS_PROXY are used for downloads, and never for 127.0.0.1 and localhost"


def test_a_socks_proxy_needs_a_package(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy:1080")
    monkeypatch.setattr(system_checks, "find_spec", lambda name: None if name == "socksio" else True)
    assert "run pip install socksio" in found()["proxy"].text


@pytest.mark.parametrize(("free", "mark"), [(2**20, "note"), (2**30, "ok  ")])
def test_little_shared_memory_is_a_note(monkeypatch, free, mark):
    usage = namedtuple("usage", "total used free")(2**30, 0, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert found()["shared memory"].mark == mark


def test_shared_memory_that_cannot_be_written_is_wrong(monkeypatch):
    monkeypatch.setattr(system_checks.os, "access", lambda *_: False)
    assert "use `runner.kind: threads`" in found()["shared memory"].text


def test_a_script_without_a_font_is_a_note(monkeypatch):
    monkeypatch.setattr(system_checks, "SAMPLES", {"Latin": "abc"})
    assert found()["fonts"].mark == "ok  "
    monkeypatch.setattr(system_checks, "SAMPLES", {"Private": "\U0010fffd"})
    assert "none has letters of Private; names in them are boxes" in found()["fonts"].text


def test_spinning_threads_are_a_note(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert "waiting threads spin" in found()["threads"].text


def test_more_threads_than_a_container_may_use_are_a_note(monkeypatch, tmp_path):
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    monkeypatch.setattr(system_checks, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr("torch.get_num_threads", lambda: 4)
    assert "set OMP_NUM_THREADS=1" in found()["threads"].text
    (tmp_path / "cpu.max").write_text("max 100000\n")
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    assert found()["threads"].mark == "ok  "
