"""Vision backbones of transformers, with random weights from local configurations. Nothing is downloaded."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from itm.core.errors import ModelError
from itm.zoo.existing_variants import existing_variants
from itm.zoo.facts import create_transform, facts, preprocessing, preprocessing_without_weights
from itm.zoo.load import build, definition, weights_hash
from itm.zoo.recipe import recipe
from tests.zoo.named import the_model, why

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("offline")]

Embeddings = Callable[..., torch.Tensor]
PROCESSOR = {
    "do_resize": True,
    "size": {"shortest_edge": 40},
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.25, 0.25, 0.25],
}
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}


def saved_model(folder: Path, config: Any, kind: Any, **options: Any) -> Any:
    """Save a model of transformers with random weights as users do, and return it."""
    torch.manual_seed(0)
    model = kind(config, **options).eval()
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return model


@pytest.mark.parametrize("kind", ["Dinov2Model", "Dinov2ForImageClassification", "Dinov2WithRegistersModel"])
def test_pooled_output_of_transformers_is_the_embedding(tmp_path: Path, kind: str, embeddings: Embeddings) -> None:
    import transformers

    config = transformers.Dinov2WithRegistersConfig(**SMALL) if "Registers" in kind else transformers.Dinov2Config(**SMALL)
    saved = saved_model(tmp_path / "dino", config, getattr(transformers, kind))
    backbone = getattr(saved, "dinov2", saved)
    model = the_model(f"transformers:{tmp_path / 'dino'}")
    module = build(model)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(embeddings(module, 32), backbone(pixel_values=images).pooler_output)
    assert weights_hash(model)
    found = facts(model, module, preprocessing(model, module))
    assert (found.width, found.input_size, found.gmacs is not None) == (16, 32, True)


def test_class_token_replaces_a_pooling_of_pre_training(tmp_path: Path, embeddings: Embeddings) -> None:
    import transformers

    saved = saved_model(tmp_path / "vit", transformers.ViTConfig(**SMALL, intermediate_size=32), transformers.ViTModel)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = saved(pixel_values=images).last_hidden_state[:, 0]
    assert torch.equal(embeddings(build(the_model(f"transformers:{tmp_path / 'vit'}")), 32), expected)


def test_weights_of_an_older_transformers_are_converted(tmp_path: Path, embeddings: Embeddings) -> None:
    import transformers

    config = transformers.ViTConfig(**SMALL, intermediate_size=32)
    saved = saved_model(tmp_path / "vit", config, transformers.ViTForImageClassification)
    expected = embeddings(build(the_model(f"transformers:{tmp_path / 'vit'}")), 32)
    older = {
        "vit.layers.": "vit.encoder.layer.",
        "attention.q_proj": "attention.attention.query",
        "attention.k_proj": "attention.attention.key",
        "attention.v_proj": "attention.attention.value",
        "attention.o_proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
    }
    state = {}
    for name, own in saved.state_dict().items():
        for new, old in older.items():
            name = name.replace(new, old)
        state[name] = own
    assert "vit.encoder.layer.0.attention.attention.query.weight" in state
    save_file(state, tmp_path / "vit" / "model.safetensors")
    assert torch.equal(embeddings(build(the_model(f"transformers:{tmp_path / 'vit'}")), 32), expected)


@pytest.mark.parametrize("family", ["CLIP", "Siglip"])
def test_vision_tower_of_a_model_with_text_is_taken(tmp_path: Path, family: str, embeddings: Embeddings) -> None:
    import transformers

    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9, "intermediate_size": 16}
    config = getattr(transformers, f"{family}Config")(vision_config={**SMALL, "intermediate_size": 32}, text_config=text)
    saved = saved_model(tmp_path / "pair", config, getattr(transformers, f"{family}Model"))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = saved.vision_model(pixel_values=images).pooler_output
    assert torch.allclose(embeddings(build(the_model(f"transformers:{tmp_path / 'pair'}")), 32), expected)


def test_convolutional_network_of_transformers_is_embedded(tmp_path: Path, embeddings: Embeddings) -> None:
    import transformers

    config = transformers.ConvNextConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1])
    saved_model(tmp_path / "conv", config, transformers.ConvNextForImageClassification)
    assert embeddings(build(the_model(f"transformers:{tmp_path / 'conv'}")), 32).shape == (2, 16)


def test_images_are_prepared_as_the_image_processor_says(tmp_path: Path) -> None:
    import transformers

    saved_model(tmp_path / "dino", transformers.Dinov2Config(**SMALL), transformers.Dinov2Model)
    model = the_model(f"transformers:{tmp_path / 'dino'}")
    config = preprocessing_without_weights(model)
    wanted = {"input_size": [3, 32, 32], "crop_pct": 0.8, "interpolation": "bicubic", "mean": [0.5, 0.4, 0.3]}
    assert {key: config[key] for key in wanted} == wanted
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "dino", use_fast=False)
    from PIL import Image

    image = Image.radial_gradient("L").convert("RGB").resize((90, 60))
    expected = processor(image, return_tensors="pt")["pixel_values"][0]
    assert (create_transform(config)(image) - expected).abs().max() < 0.05


def test_moved_folder_is_the_same_model(tmp_path: Path) -> None:
    import transformers

    saved_model(tmp_path / "here", transformers.Dinov2Config(**SMALL), transformers.Dinov2Model)
    before = definition(the_model(f"transformers:{tmp_path / 'here'}"))
    (tmp_path / "here").rename(tmp_path / "there")
    assert definition(the_model(f"transformers:{tmp_path / 'there'}")) == before
    assert str(tmp_path) not in json.dumps(before)


def test_missing_weights_of_transformers_are_named(tmp_path: Path) -> None:
    import transformers

    saved = saved_model(tmp_path / "dino", transformers.Dinov2Config(**SMALL), transformers.Dinov2Model)
    state = {name: own for name, own in saved.state_dict().items() if "layernorm" not in name}
    save_file(state, tmp_path / "dino" / "model.safetensors")
    with pytest.raises(ModelError, match=r"2 missing in the file: layernorm\.weight, layernorm\.bias"):
        build(the_model(f"transformers:{tmp_path / 'dino'}"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "bert"}, "bert is no vision backbone"),
        ({"model_type": "vit_mae"}, "hides random parts of each image"),
        ({"model_type": "odd", "auto_map": {"AutoConfig": "odd.Config"}}, "is no configuration that transformers knows"),
        ("{", "is no configuration that transformers knows"),
    ],
)
def test_other_configurations_are_refused_without_running_code(tmp_path: Path, config: Any, message: str) -> None:
    (tmp_path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    (tmp_path / "odd.py").write_text("raise SystemExit('this must not run')")
    assert message in why(f"transformers:{tmp_path}")


def test_variants_of_other_libraries_are_pixels(tmp_path: Path) -> None:
    import transformers

    saved_model(tmp_path / "dino", transformers.Dinov2Config(**SMALL), transformers.Dinov2Model)
    model = the_model(f"transformers:{tmp_path / 'dino'}")
    from itm.core.variants import Variant

    variants = [Variant.parse(text) for text in ("48", "mean", "block1")]
    assert [found.name for found in existing_variants([model], variants)[model.name]] == [f"{model.name}@48"]
    assert recipe(replace(model, weights_key=None)) == ""


@pytest.mark.usefixtures("own_logger")
def test_backbone_of_transformers_is_ranked_and_fine_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers
    from typer.testing import CliRunner

    from itm.cli.commands import app

    saved_model(tmp_path / "dino", transformers.Dinov2Config(**SMALL), transformers.Dinov2Model)
    monkeypatch.chdir(tmp_path)
    options = ["--runner", "inline", "--score", "logme", "--max-images", "60", "--confirm", "1", "--seeds", "1", "--steps", "2"]
    names = ("-m", "transformers:dino", "-m", "hf-hub:someone/missing")
    done = CliRunner().invoke(app, ["rank", "digits", *options, *names])
    assert done.exit_code == 1, done.output
    assert "hf-hub:someone/missing: no config.json of someone/missing" in " ".join(done.output.split())
    rows = [line.split() for line in done.output.splitlines() if "transformers:dino" in line]
    assert any(row[-1] == "ranked" for row in rows)
    assert "fine-tuned" in done.output
