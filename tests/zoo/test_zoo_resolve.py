"""Names and wildcards are resolved to models."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from itm.core.params import Params
from itm.core.sections import ZooParams
from itm.core.yaml_records import parse
from itm.run.plan import plan
from itm.store.layout import Store
from itm.zoo.resolve import resolve
from itm.zoo.timm_gate import timm

WriteZoo = Callable[..., Path]


def entry(name: str, **values: object) -> dict[str, object]:
    return {"name": name, "architecture": "test_resnet", "checkpoint": "w.safetensors", **values}


def test_default_wildcard_takes_all_models_of_the_zoo_file(write_zoo: WriteZoo) -> None:
    zoo = write_zoo(entry("b.two"), entry("a.one"))
    models, failures = resolve(ZooParams(file=zoo))
    assert [model.name for model in models] == ["b.two", "a.one"]
    assert models[0].checkpoint == zoo.parent / "w.safetensors"
    assert failures == []


def test_embedded_zoo_is_the_default_and_a_plan_says_so(zoo_file: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    models, failures = resolve(ZooParams())
    assert models == resolve(ZooParams(file=zoo_file))[0]
    assert failures == []
    with caplog.at_level("INFO", logger="itm"):
        assert plan(parse({"data": {"sets": ["digits"]}}, Params, "test"), store, offline=True).models == tuple(models)
    assert caplog.messages == [
        "no model is named: ranking the embedded zoo; name others with --model or --zoo, or in params.yaml"
    ]


def test_names_without_a_zoo_file_are_of_the_embedded_zoo_or_of_timm() -> None:
    models, failures = resolve(ZooParams(models=("mini_*.dino", "test_vit")))
    assert [(model.name.partition(".")[0], model.pretrained) for model in models] == [
        ("mini_vit_tiny_patch16_224", False),
        ("test_vit", True),
    ]
    assert failures == []


def test_names_beside_a_zoo_file_are_of_the_embedded_zoo_or_of_timm(write_zoo: WriteZoo) -> None:
    zoo = write_zoo(entry("mini_vit.ours"))
    models, failures = resolve(ZooParams(file=zoo, models=("mini_vit*", "mini_resnet18.*", "test_vit")))
    assert [model.name for model in models] == ["mini_vit.ours", "mini_resnet18.supervised", "test_vit.r160_in1k"]
    assert failures == []


def test_no_wildcard_means_all_models_of_timm() -> None:
    embedded = resolve(ZooParams())
    for pattern in ("*.*", "**"):
        assert resolve(ZooParams(models=(pattern,))) == embedded


def test_empty_zoo_file_does_not_mean_timm(write_zoo: WriteZoo) -> None:
    models, failures = resolve(ZooParams(file=write_zoo()))
    assert models == []
    assert [(failure.model, failure.step) for failure in failures] == [("*", "zoo")]


def test_order_follows_the_patterns_and_duplicates_are_dropped(write_zoo: WriteZoo) -> None:
    zoo = write_zoo(entry("a.one"), entry("a.two"), entry("b.one"))
    models, _ = resolve(ZooParams(file=zoo, models=("b.*", "a.two", "*.one", "a.*", "b.one")))
    assert [model.name for model in models] == ["b.one", "a.two", "a.one"]


def test_exact_name_takes_precedence_over_wildcard(write_zoo: WriteZoo) -> None:
    zoo = write_zoo(entry("a[1]"), entry("a1"))
    assert [model.name for model in resolve(ZooParams(file=zoo, models=("a[1]",)))[0]] == ["a[1]"]


def test_zoo_file_takes_precedence_over_timm(write_zoo: WriteZoo) -> None:
    zoo = write_zoo(entry("test_resnet.mine"))
    assert [model.name for model in resolve(ZooParams(file=zoo, models=("test_*",)))[0]] == ["test_resnet.mine"]
    assert [model.name for model in resolve(ZooParams(file=zoo, models=("test_convnext?.*",)))[0]] == [
        "test_convnext2.r160_in1k",
        "test_convnext3.r160_in1k",
    ]


def test_timm_names_get_their_default_tag() -> None:
    models, failures = resolve(ZooParams(models=("resnet50", "resnet50.a2_in1k", "resnet50.a1_in1k")))
    assert [model.name for model in models] == ["resnet50.a1_in1k", "resnet50.a2_in1k"]
    assert all(model.pretrained and model.architecture == model.name and model.checkpoint is None for model in models)
    assert failures == []


def test_timm_wildcard_gives_only_pretrained_models() -> None:
    models, _ = resolve(ZooParams(models=("resnet18*",)))
    assert [model.name for model in models] == timm.list_models("resnet18*", pretrained=True)
    assert all("." in model.name for model in models)


def test_deprecated_timm_name_becomes_the_new_one() -> None:
    models, _ = resolve(ZooParams(models=("convnext_tiny_in22ft1k",)))
    assert [model.name for model in models] == ["convnext_tiny.fb_in22k_ft_in1k"]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("timm/resnet18.a1_in1k", "resnet18.a1_in1k"),
        ("hf-hub:timm/resnet18.a2_in1k", "resnet18.a2_in1k"),
        ("hf_hub:timm/resnet18.a1_in1k", "resnet18.a1_in1k"),
        ("https://huggingface.co/timm/resnet18.a1_in1k", "resnet18.a1_in1k"),
        ("timm:resnet18", "resnet18.a1_in1k"),
        ("ResNet18", "resnet18.a1_in1k"),
        ("resnet-18", "resnet18.a1_in1k"),
        ("ResNet18.A1_IN1K", "resnet18.a1_in1k"),
        ("ViT-Base-Patch16-224", "vit_base_patch16_224.augreg2_in21k_ft_in1k"),
        ("Test-ViT2*", "test_vit2.r160_in1k"),
        ("timm/test_vit2*", "test_vit2.r160_in1k"),
    ],
)
def test_names_of_other_tools_are_resolved(written: str, name: str) -> None:
    models, failures = resolve(ZooParams(models=(written,)))
    assert ([model.name for model in models], failures) == ([name], [])


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("resnet5O", "did you mean 'resnet50'"),
        ("resnet50.a1_in1", "did you mean 'resnet50.a1_in1k'"),
        ("xxxxxxxxx_*", "no pre-trained model of timm matches 'xxxxxxxxx_*'."),
        ("resnet5O*", "matches 'resnet5O*'; did you mean 'resnet50*'"),
        ("vit_tny*", "did you mean 'vit_tiny*'"),
        ("*renset18*", "did you mean '*resnet18*'"),
        ("vit_*_ptach16_224", "did you mean 'vit_*_patch16_224'"),
        ("microsoft/resnet-50", "did you mean 'resnet50'"),
        ("google/vit-base-patch16-224", "did you mean 'vit_base_patch16_224'"),
        ("facebook/dinov2-base", "did you mean 'vit_base_patch14_dinov2'"),
        ("vit_b_16", "did you mean 'vit_base_patch16_224'"),
        ("ResNet50_Weights.IMAGENET1K_V2", "did you mean 'resnet50'"),
        ("MobileNet_V3_Large", "did you mean 'mobilenetv3_large_100'"),
        ("./ours.pth", "is a weight file, not a name; write a zoo file"),
        ("runs/best.ckpt", "is a weight file, not a name"),
        ("zoo.yaml", "give a zoo file as --zoo zoo.yaml"),
        ("models.py:build", "name it as `factory: models.py:build` in a zoo file"),
        ("/data/models/resnet", "is a path, not a name"),
        ("vit_base_patch32_plus_256", "no pre-trained weights"),
        ("", "has no model ''"),
    ],
)
def test_unknown_name_is_a_failure(pattern: str, message: str) -> None:
    models, failures = resolve(ZooParams(models=(pattern, "test_vit")))
    assert [model.name for model in models] == ["test_vit.r160_in1k"]
    (failure,) = failures
    assert (failure.data, failure.model, failure.step) == ("", pattern, "zoo")
    assert message in failure.reason


def test_sources_in_architectures_of_a_zoo_file_are_dropped(write_zoo: WriteZoo) -> None:
    own = entry("a.one", architecture="hf-hub:timm/resnet18")
    other = {"architecture": "timm/resnet18.a1_in1k", "pretrained": True}
    models, failures = resolve(ZooParams(file=write_zoo(own, other)))
    assert failures == []
    assert [(model.name, model.architecture) for model in models] == [
        ("a.one", "resnet18"),
        ("resnet18.a1_in1k", "resnet18.a1_in1k"),
    ]


def test_similar_name_of_the_zoo_file_is_suggested(write_zoo: WriteZoo) -> None:
    _, (failure,) = resolve(ZooParams(file=write_zoo(entry("leaves.v2")), models=("leafs.v2",)))
    assert "not in the zoo; did you mean 'leaves.v2'?" in failure.reason
    _, (failure,) = resolve(ZooParams(file=write_zoo(entry("leaves.v2")), models=("LEAVES*",)))
    assert "not in the zoo; did you mean 'leaves*'?" in failure.reason


def test_zoo_file_does_not_import_torch_or_timm(write_zoo: WriteZoo) -> None:
    code = (
        "import sys; from pathlib import Path; from itm.core.sections import ZooParams; from itm.zoo.resolve import resolve;"
        f"models, failures = resolve(ZooParams(file=Path({str(write_zoo(entry('a.one')))!r})));"
        "assert [m.name for m in models] == ['a.one'] and not failures; assert not {'torch', 'timm'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
