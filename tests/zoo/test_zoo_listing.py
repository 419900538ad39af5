"""`itm models`: facts from the shipped table or from the model, filters and order."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from itm.core.errors import ModelError, ParamsError
from itm.core.types import Facts, Failure
from itm.zoo import facts_table
from itm.zoo.construct import build_on_meta
from itm.zoo.facts import facts, preprocessing
from itm.zoo.facts_table import known_model, known_models
from itm.zoo.licences import PERMISSIVE, is_permissive
from itm.zoo.listing import Description, list_models
from itm.zoo.resolve import timm_model
from itm.zoo.selection import Filters, ordered, parse_filters
from itm.zoo.timm_gate import timm
from itm.zoo.timm_names import timm_config

pytestmark = pytest.mark.slow

WriteZoo = Callable[..., Path]
SIZE = Facts(parameters=10**7, gmacs=1.0, width=512, input_size=224, family="vision_transformer", pretraining="in1k")
MODEL = Description("vit_tiny_patch16_224.in1k", SIZE, "mit", 75.0, "to download")


def listed(pattern: str, zoo: Path | None = None, **filters: Any) -> list[str]:
    given = {"max_params": None, "max_gmacs": None, "licence": None, "family": None} | filters
    chosen = parse_filters(**given)
    return [one.name for one in list_models(pattern, zoo) if isinstance(one, Description) and chosen.passes(one)]


def test_table_is_of_the_installed_timm_and_has_its_models() -> None:
    assert facts_table.is_current(), "run `python -m benchmarks.model_facts itm/zoo/model_facts.parquet`"
    missing = {*timm.list_models(pretrained=True)} - {*known_models()}
    assert len(missing) <= 20, "models of timm without embeddings are left out, and there are few of them"
    assert not {*known_models()} - {*timm.list_models(pretrained=True)}


@pytest.mark.parametrize("name", [*timm.list_models("test_*", pretrained=True), "vit_small_patch14_dinov2.lvd142m"])
def test_table_has_the_facts_of_the_model(name: str) -> None:
    model, row = timm_model(name), known_model(name)
    assert row
    module = build_on_meta(model)
    built = facts(model, module, preprocessing(model, module))
    assert row.facts == replace(built, batch_norm=None)  # the table does not have it
    assert row.repository == timm_config(name)["hf_hub_id"]


@pytest.mark.parametrize("pattern", ["resnet18*", "vit_*_clip_224.openai", "test_vit.r160_in1k", "timm:convnext_atto*"])
def test_names_of_the_table_are_those_of_timm(pattern: str) -> None:
    assert listed(pattern) == timm.list_models(pattern.removeprefix("timm:"), pretrained=True)


def test_table_is_read_without_timm_and_torch() -> None:
    code = "import sys; from itm.zoo.listing import list_models; print(len(list(list_models('resnet*', None)))); "
    code += "assert not {'torch', 'timm'} & {*sys.modules}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_models_outside_the_table_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    rest = {name: one for name, one in known_models().items() if not name.startswith("test_vit.")}
    monkeypatch.setattr("itm.zoo.facts_table.known_models", lambda: rest)
    (one,) = list_models("test_vit.*", None)
    assert isinstance(one, Description)
    assert (one.facts.parameters, one.licence, one.weights) == (371_240, "apache-2.0", "to download")


def test_zoo_file_and_timm_are_listed(write_zoo: WriteZoo) -> None:
    zoo = write_zoo(
        {"name": "test_resnet.ours", "architecture": "test_resnet", "checkpoint": "w.pth", "arguments": {"num_classes": 2}},
        {"name": "test_resnet.gone", "architecture": "test_resnet", "checkpoint": "missing.pth"},
        {"name": "test_resnet.odd", "architecture": "test_resnet", "checkpoint": "w.pth", "arguments": {"odd": 2}},
    )
    ours, odd, gone, published = list_models("test_resnet*", zoo)
    assert isinstance(ours, Description)
    assert (ours.name, ours.licence, ours.weights) == ("test_resnet.ours", None, "file")
    assert isinstance(odd, Failure)
    assert "'odd'" in odd.reason
    assert isinstance(gone, Failure)
    assert "is not a file" in gone.reason
    assert isinstance(published, Description)
    assert (published.name, published.licence) == ("test_resnet.r160_in1k", "apache-2.0")
    assert listed("", zoo) == ["test_resnet.ours"]


def test_nothing_is_an_error(write_zoo: WriteZoo, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="matches 'nothing\\*'"):
        list(list_models("nothing*", write_zoo()))
    with pytest.raises(ParamsError, match="cannot be read"):
        list(list_models("*", tmp_path / "nowhere.yaml"))


def test_weights_in_the_caches_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def places() -> dict[str, str]:
        found = [one for name in ("resnet18.a1_in1k", "gcvit_xxtiny.in1k") for one in list_models(name, None)]
        return {one.name: one.weights for one in found if isinstance(one, Description)}

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert places() == dict.fromkeys(("resnet18.a1_in1k", "gcvit_xxtiny.in1k"), "to download")
    snapshot = tmp_path / "hub" / "models--timm--resnet18.a1_in1k" / "snapshots" / ("1" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").touch()
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("1" * 40)
    file = tmp_path / "torch" / "hub" / "checkpoints" / timm_config("gcvit_xxtiny.in1k")["url"].rpartition("/")[2]
    file.parent.mkdir(parents=True)
    file.touch()
    assert places() == dict.fromkeys(("resnet18.a1_in1k", "gcvit_xxtiny.in1k"), "cached")


def test_table_of_another_timm_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {name: replace(one, facts=replace(one.facts, parameters=1)) for name, one in known_models().items()}
    monkeypatch.setattr(facts_table, "known_models", lambda: other)
    monkeypatch.setattr(facts_table, "is_current", lambda: False)
    (one,) = list_models("test_vit.r160_in1k", None)
    assert isinstance(one, Description)
    assert one.facts.parameters == 371_240


def test_accuracy_is_that_of_published_weights_only(write_zoo: WriteZoo) -> None:
    entry = {"name": "resnet18.a1_in1k", "architecture": "resnet18", "checkpoint": "ours.safetensors"}
    accuracies = {}
    for zoo in (None, write_zoo(entry)):
        (one,) = list_models("resnet18.a1_in1k", zoo)
        assert isinstance(one, Description)
        accuracies[one.weights == "file"] = one.top1
    assert accuracies[True] is None
    assert accuracies[False]


def test_weights_of_other_libraries_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.chdir(tmp_path)
    for folder in ("none", "resnet18", "resnet18.IMAGENET1K_V1"):  # are no models
        (tmp_path / folder).mkdir()

    def places() -> list[str]:
        names = ("torchvision:resnet18", "open_clip:RN50/openai", "test_vit.r160_in1k")
        return [one.weights for name in names for one in list_models(name, None) if isinstance(one, Description)]

    assert places() == ["to download"] * 3
    file = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    file.parent.mkdir(parents=True)
    file.touch()
    assert places() == ["cached", "to download", "to download"]


def test_filters_keep_what_is_known_to_pass() -> None:
    assert Filters(max_params=10**7, max_gmacs=1.0, licences=frozenset({"mit"}), family="vit").passes(MODEL)
    unmeasured = replace(MODEL, facts=replace(SIZE, gmacs=None), licence=None)
    for filters, passes in (
        (Filters(max_params=10**7 - 1), False),
        (Filters(max_gmacs=0.9), False),
        (Filters(licences=frozenset({"apache-2.0"})), False),
        (Filters(family="vitamin"), False),
        (Filters(family="vision_transformer"), True),
    ):
        assert filters.passes(MODEL) is passes
    assert not Filters(max_gmacs=99).passes(unmeasured)
    assert not Filters(licences=frozenset(PERMISSIVE)).passes(unmeasured)


def test_filters_of_the_command_line_are_checked() -> None:
    found = listed("resnet50*", licence="permissive", max_params="30M", max_gmacs=5, family="resnet")
    assert "resnet50.a1_in1k" in found
    assert not {"resnet50.fb_swsl_ig1b_ft_in1k", "resnet50.bamboo"} & {*found}  # not permissive, and unknown
    assert listed("resnet50*", licence="unknown") == ["resnet50.bamboo"]
    assert listed("resnet50*", licence="CC-BY-NC-4.0")
    for options, message in (
        ({"licence": "apache"}, "--licence apache is not known; did you mean 'apache-2.0'"),
        ({"family": "swim"}, "--family swim is unknown"),
        ({"max_params": "30 MB"}, "--max-params 30 MB: must be a number of parameters such as 30M"),
    ):
        with pytest.raises(ParamsError, match=message):
            listed("resnet50*", **options)


def test_columns_sort_with_unknown_values_last() -> None:
    models = [MODEL, replace(MODEL, name="b", top1=80.0), replace(MODEL, name="c", top1=None, licence=None)]
    assert [one.name for one in ordered(models, "top1")] == ["b", MODEL.name, "c"]
    assert [one.name for one in ordered(models, "licence")][-1] == "c"
    large = replace(MODEL, facts=replace(SIZE, input_size="96 x 480"))
    assert ordered([large, MODEL], "pixels") == [MODEL, large]
    with pytest.raises(ParamsError, match="--sort gmac is not a column; did you mean 'gmacs'"):
        ordered(models, "gmac")


def test_permissive_needs_a_statement() -> None:
    assert is_permissive("mit")
    assert not is_permissive("cc-by-nc-4.0")
    assert not is_permissive(None)
