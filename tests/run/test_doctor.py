"""What is amiss is found before a run, each thing with what to do about it."""

import os
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file, save_file

from itm.core.params import Params
from itm.run.doctor import examine
from itm.run.findings import Finding

SHORT = "test_resnet.drawn_short"


@pytest.fixture
def zoo(zoo_file: Path, tmp_path: Path) -> Path:
    """Return a zoo file with one good model, one without its file, one cut short and one with weights of another model."""
    entries = {entry["name"]: entry for entry in yaml.safe_load(zoo_file.read_text())["models"]}
    good = entries[SHORT] | {"checkpoint": str(zoo_file.parent / f"{SHORT}.safetensors")}
    weights = Path(good["checkpoint"])
    (tmp_path / "cut.safetensors").write_bytes(weights.read_bytes()[:5000])
    state = load_file(weights)
    state.pop(next(name for name, tensor in state.items() if tensor.ndim == 4))
    save_file(state, tmp_path / "lacking.safetensors")
    bad = [good | {"name": name, "checkpoint": f"{name}.safetensors"} for name in ("gone", "cut", "lacking")]
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump({"models": [good, *bad]}))
    return tmp_path / "zoo.yaml"


def _found(**sections: object) -> dict[str, Finding]:
    return {finding.what: finding for finding in examine(Params.model_validate(sections))}


def test_every_model_is_loaded(zoo, tmp_path):
    found = _found(zoo={"file": zoo}, store=tmp_path / "store", track={"uri": None})
    assert found[SHORT].good
    messages = {"gone": "is not a file", "cut": "download it again", "lacking": "1 missing in the file"}
    for name, words in messages.items():
        assert not found[name].good
        assert words in found[name].text
    assert all(finding.good for name, finding in found.items() if name not in messages)


def test_a_zoo_that_cannot_be_read_is_a_finding(tmp_path):
    found = _found(zoo={"file": tmp_path / "nowhere.yaml"}, store=tmp_path)
    assert not found["zoo"].good
    assert found["store"].good
    assert "tracking" in found


def test_without_a_zoo_the_embedded_one_is_checked(tmp_path):
    assert _found(store=tmp_path)[SHORT].good


def test_a_store_that_cannot_be_written_is_a_finding(tmp_path):
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "store"):
        finding = _found(store=root, zoo={"file": tmp_path / "nowhere.yaml"})["store"]
        assert not finding.good
        assert "change `store` in params" in finding.text


def test_a_device_that_is_not_there_is_a_finding(tmp_path):
    finding = _found(extract={"device": "cuda:9"}, store=tmp_path)["devices"]
    assert not finding.good
    assert "'cuda:9'" in finding.text
    assert f"{os.cpu_count()} CPU cores" in finding.text


@pytest.mark.parametrize(
    ("uri", "good", "words"),
    [
        (None, True, "is off"),
        ("sqlite:///{tmp}/new/mlflow.db", True, "mlflow.db"),
        ("sqlite:///{tmp}/file/mlflow.db", False, "cannot be written; change track.uri"),
        ("http://127.0.0.1:9", False, "does not answer"),
        ("postgresql://host/db", True, "not tried"),
    ],
)
def test_tracking_is_tried_where_that_costs_nothing(tmp_path, uri, good, words):
    (tmp_path / "file").touch()
    finding = _found(store=tmp_path, track={"uri": uri and uri.format(tmp=tmp_path)})["tracking"]
    assert finding.good == good
    assert words in finding.text
