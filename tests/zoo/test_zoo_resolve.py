"""Names and wildcards become models."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from itm.core.errors import ParamsError
from itm.core.sections import ZooParams
from itm.zoo.resolve import resolve
from itm.zoo.timm_import import timm

WriteZoo = Callable[..., Path]


def entry(name: str, **values: object) -> dict[str, object]:
    return {"name": name, "architecture": "test_resnet", "checkpoint": "w.safetensors", **values}


def test_everything_of_a_zoo_file_in_its_order(write_zoo: WriteZoo) -> None:
    """The default wildcard takes all models of the zoo file, in the file's order, with absolute paths."""
    zoo = write_zoo(entry("b.two"), entry("a.one"))
    models, failures = resolve(ZooParams(file=zoo))
    assert [model.name for model in models] == ["b.two", "a.one"]
    assert models[0].checkpoint == zoo.parent / "w.safetensors"
    assert failures == []


def test_everything_without_a_zoo_file_is_refused() -> None:
    """A wildcard for all 1,500 models of timm is never meant, and the error says how to name some."""
    for pattern in ("*", "*.*", "**"):
        with pytest.raises(ParamsError, match=r"Name some, for instance"):
            resolve(ZooParams(models=("test_vit", pattern)))


def test_everything_of_an_empty_zoo_file_does_not_mean_timm(write_zoo: WriteZoo) -> None:
    """A zoo file without models fails instead of falling through to all of timm."""
    models, failures = resolve(ZooParams(file=write_zoo()))
    assert models == []
    assert [(failure.model, failure.step) for failure in failures] == [("*", "zoo")]


def test_order_follows_the_patterns_and_duplicates_are_dropped(write_zoo: WriteZoo) -> None:
    """Each model comes once, at its first mention."""
    zoo = write_zoo(entry("a.one"), entry("a.two"), entry("b.one"))
    models, _ = resolve(ZooParams(file=zoo, models=("b.*", "a.two", "*.one", "a.*", "b.one")))
    assert [model.name for model in models] == ["b.one", "a.two", "a.one"]


def test_an_exact_name_beats_its_meaning_as_a_wildcard(write_zoo: WriteZoo) -> None:
    """A name holding wildcard signs means itself where such a model exists."""
    zoo = write_zoo(entry("a[1]"), entry("a1"))
    assert [model.name for model in resolve(ZooParams(file=zoo, models=("a[1]",)))[0]] == ["a[1]"]


def test_the_zoo_file_hides_timm_where_it_matches(write_zoo: WriteZoo) -> None:
    """Wildcards match the zoo file alone, and timm only if nothing there matches."""
    zoo = write_zoo(entry("test_resnet.mine"))
    assert [model.name for model in resolve(ZooParams(file=zoo, models=("test_*",)))[0]] == ["test_resnet.mine"]
    assert [model.name for model in resolve(ZooParams(file=zoo, models=("test_convnext?.*",)))[0]] == [
        "test_convnext2.r160_in1k",
        "test_convnext3.r160_in1k",
    ]


def test_timm_names_are_pinned_to_their_tag() -> None:
    """An architecture alone becomes its default tag, a tag stays, and both are timm's own weights."""
    models, failures = resolve(ZooParams(models=("resnet50", "resnet50.a2_in1k", "resnet50.a1_in1k")))
    assert [model.name for model in models] == ["resnet50.a1_in1k", "resnet50.a2_in1k"]
    assert all(model.pretrained and model.architecture == model.name and model.checkpoint is None for model in models)
    assert failures == []


def test_a_timm_wildcard_gives_pretrained_models_only() -> None:
    """A wildcard expands to timm's tagged, pre-trained names."""
    models, _ = resolve(ZooParams(models=("test_resnet*",)))
    assert [model.name for model in models] == timm.list_models("test_resnet*", pretrained=True)
    assert all("." in model.name for model in models)


def test_a_name_timm_has_given_up_becomes_the_new_one() -> None:
    """Old names still lead to their weights, under today's name."""
    models, _ = resolve(ZooParams(models=("convnext_tiny_in22ft1k",)))
    assert [model.name for model in models] == ["convnext_tiny.fb_in22k_ft_in1k"]


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("resnet5O", "did you mean 'resnet50'"),
        ("resnet50.a1_in1", "did you mean 'resnet50.a1_in1k'"),
        ("no_such_thing_*", "no pre-trained model of timm matches 'no_such_thing_*'"),
        ("vit_base_patch32_plus_256", "no pre-trained weights"),
        ("", "has no model ''"),
    ],
)
def test_a_name_that_leads_nowhere_fails_alone(pattern: str, told: str) -> None:
    """A wrong name becomes a failure that names the nearest right one, and the other names go on."""
    models, failures = resolve(ZooParams(models=(pattern, "test_vit")))
    assert [model.name for model in models] == ["test_vit.r160_in1k"]
    (failure,) = failures
    assert (failure.data, failure.model, failure.step) == ("", pattern, "zoo")
    assert told in failure.reason


def test_a_misspelt_name_of_the_zoo_file_is_recognised(write_zoo: WriteZoo) -> None:
    """With a zoo file the nearest of its own names is told first."""
    _, (failure,) = resolve(ZooParams(file=write_zoo(entry("leaves.v2")), models=("leafs.v2",)))
    assert "not in the zoo file; did you mean 'leaves.v2'?" in failure.reason


def test_a_zoo_file_alone_needs_neither_torch_nor_timm(write_zoo: WriteZoo) -> None:
    """Resolving names of a zoo file does not pay the seconds that importing torch and timm takes."""
    code = (
        "import sys; from pathlib import Path; from itm.params import ZooParams; from itm.zoo.resolve import resolve;"
        f"models, failures = resolve(ZooParams(file=Path({str(write_zoo(entry('a.one')))!r})));"
        "assert [m.name for m in models] == ['a.one'] and not failures; assert not {'torch', 'timm'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
