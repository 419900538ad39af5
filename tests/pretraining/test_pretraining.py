"""Pre-training of the mini pool, from pictures to an entry of the zoo file."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from benchmarks.pretraining.contrastive import DINO, SimCLR
from benchmarks.pretraining.main import pretrain_flow
from benchmarks.pretraining.masked import MAE, MaskFeat, SimMIM
from benchmarks.pretraining.pictures import Pictures, drawn, from_parquet, views
from benchmarks.pretraining.recipes import POOLED, RECIPES, SIZE, VIT, Recipe, recipe
from benchmarks.pretraining.training import save, train
from itm.core.errors import DataError, ModelError
from itm.zoo.load import build
from itm.zoo.timm_gate import timm
from itm.zoo.zoo_file import read_zoo_file

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Return sixty synthetic pictures per family."""
    return drawn(60)


def short(name: str, steps: int = 3) -> Recipe:
    """Return the recipe with a few small steps."""
    return dataclasses.replace(recipe(name), pictures=16 * steps, batch=16)


@pytest.mark.parametrize("name", [recipe.name for recipe in RECIPES])
def test_recipe_gives_a_checkpoint_that_loads(name: str, pictures: Pictures, tmp_path: Path) -> None:
    model = train(short(name), pictures, seed=0)
    save(model, recipe(name), pictures, tmp_path)
    assert (tmp_path / f"{name}.safetensors").stat().st_size <= 1.5e6
    built = build(read_zoo_file(tmp_path / "zoo.yaml").models[name])
    images = torch.randn(2, 3, SIZE, SIZE)
    one, other = (m.forward_head(m.forward_features(images), pre_logits=True) for m in (model, built))  # type: ignore[operator]
    torch.testing.assert_close(one, other, rtol=0.05, atol=0.02)  # half precision


def test_pool_has_the_objectives_of_the_paper() -> None:
    objectives = [recipe.objective for recipe in RECIPES]
    assert objectives == ["supervised"] * 4 + ["simclr", "moco", "dino", "mae", "simmim", "maskfeat"]
    assert all(recipe.architecture.startswith("vit") == (recipe.objective != "supervised") for recipe in RECIPES)


def test_training_depends_on_seed(pictures: Pictures) -> None:
    name = "mini_vit_tiny_patch16_224.mae"
    one, same, other = (train(short(name, 2), pictures, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def vit(pooled: bool) -> torch.nn.Module:
    """Return the vision transformer of the pool with random weights."""
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", **(POOLED if pooled else VIT))  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [SimCLR, DINO, MAE, SimMIM, MaskFeat])
def test_loss_decreases_and_gradients_reach_the_backbone(kind: type, pictures: Pictures) -> None:
    objective = kind(vit(pooled=kind is not DINO), SIZE)
    optimiser = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], 1e-3)
    before = {name: value.clone() for name, value in objective.backbone.named_parameters()}
    losses = []
    for step in range(8):
        torch.manual_seed(step % 2)
        loss = objective.loss(pictures.pixels[:24], pictures.labels[:24])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        objective.after_step(0.0)
        losses.append(loss.item())
    assert sum(losses[-2:]) < sum(losses[:2])
    changed = [name for name, value in objective.backbone.named_parameters() if not torch.equal(value, before[name])]
    assert len(changed) > 0.9 * len(before)


def test_teacher_is_a_moving_average() -> None:
    objective = DINO(vit(pooled=False), SIZE)
    student, teacher = next(objective.backbone.parameters()), next(objective.teacher.parameters())
    assert torch.equal(student, teacher)
    assert not teacher.requires_grad
    with torch.no_grad():
        student += 1
    objective.after_step(0.0)
    torch.testing.assert_close(student - teacher, torch.full_like(student, 0.99))


def test_masked_loss_ignores_visible_patches() -> None:
    class KnownTarget(SimMIM):
        def target(self, seen: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
            return self.known

    objective = KnownTarget(vit(pooled=True), SIZE)
    order = torch.arange(objective.patches).expand(2, -1)
    objective.random_order = lambda _: order  # type: ignore[method-assign]
    target = torch.zeros(2, objective.patches, 3 * objective.patch**2)
    with torch.no_grad():
        objective.predict.weight.zero_()
        objective.predict.bias.zero_()
    target[:, : objective.visible] = 5.0
    objective.known = target
    assert objective.loss(torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8), torch.zeros(2)) == 0
    target[:, objective.visible :] = 1.0
    assert objective.loss(torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8), torch.zeros(2)).item() == pytest.approx(1.0)


def test_views_are_normalised_crops(pictures: Pictures) -> None:
    torch.manual_seed(0)
    seen, again = (views(pictures.pixels[:8], 32, 0.3, 0.4) for _ in range(2))
    assert seen.shape == (8, 3, 32, 32)
    assert -2 <= float(seen.min()) < float(seen.max()) <= 2
    assert not torch.allclose(seen, again)
    flat = torch.full((1, 3, 48, 48), 51, dtype=torch.uint8)
    torch.testing.assert_close(views(flat, 48, 1.0, 0.0), torch.full((1, 3, 48, 48), (0.2 - 0.5) / 0.25))


def jpeg(side: int = 8) -> bytes:
    """Return the bytes of a small picture."""
    stream = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 90, dtype=np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"class": ["a"], "picture": [b""]}, "no column jpeg"),
        ({"class": ["a", "b"], "jpeg": [jpeg(), b"no image"]}, "row 1 cannot be decoded"),
        ({"class": ["a", "b"], "jpeg": [jpeg(8), jpeg(9)]}, "2 sizes"),
    ],
)
def test_invalid_pictures_are_errors(table: dict[str, list[object]], message: str, tmp_path: Path) -> None:
    pl.DataFrame(table).write_parquet(tmp_path / "p.parquet")
    with pytest.raises(DataError, match=message):
        from_parquet(tmp_path / "p.parquet", "mine")


def test_pictures_of_a_table(tmp_path: Path) -> None:
    pl.DataFrame({"class": ["b", "a", "b"], "jpeg": [jpeg()] * 3}).write_parquet(tmp_path / "p.parquet")
    found = from_parquet(tmp_path / "p.parquet", "mine")
    assert found.labels.tolist() == [1, 0, 1]
    assert found.classes == 2
    assert (found.pixels.shape, int(found.pixels[0, 0, 0, 0])) == ((3, 3, 8, 8), 90)


def test_unknown_recipe_is_an_error_with_similar_name() -> None:
    with pytest.raises(ModelError, match=r"did you mean 'mini_vit_tiny_patch16_224\.mae'"):
        recipe("mini_vit_tiny_patch16_224.mea")


@pytest.mark.slow
@pytest.mark.integration
def test_flow_adds_models_to_the_zoo(tmp_path: Path) -> None:
    chosen = [short("mini_resnet18.supervised"), short("mini_vit_tiny_patch16_224.simmim")]
    pretrain_flow(chosen, None, "drawings", 60, tmp_path, 0)
    zoo = read_zoo_file(tmp_path / "zoo.yaml")
    assert sorted(zoo.models) == ["mini_resnet18.supervised", "mini_vit_tiny_patch16_224.simmim"]
    assert not zoo.invalid
