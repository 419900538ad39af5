"""Write a model as a folder of plain files that timm alone can load, and check that it loads to the same outputs."""

import json
import runpy
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file

from itm.core.errors import ItmError, ModelError, ParamsError, StoreError, cause, fix
from itm.core.text import join_names
from itm.export.card import model_card
from itm.export.choice import Choice
from itm.export.module import Output, TimmForm, check_is_timm, output_module, timm_forms, write_config
from itm.export.onnx_file import NAME as ONNX
from itm.export.onnx_file import write_onnx
from itm.export.script import load_script
from itm.store.files import remove, temporary_path, write_atomically
from itm.zoo.facts import create_transform, preprocessing_without_weights

CONFIG, WEIGHTS, HEAD, LABELS, SCRIPT, CARD = (
    "config.json",
    "model.safetensors",
    "head.safetensors",
    "labels.txt",
    "load.py",
    "README.md",
)
MARK = "itm"  # key of config.json that marks a folder as one of ours
OWN = frozenset({CONFIG, WEIGHTS, HEAD, LABELS, SCRIPT, CARD, ONNX, f"{ONNX}.data", "__pycache__"})
MOST_NAMES = 3  # in a message
TOLERANCE = 1e-4  # relative; convolutions in another order of memory differ in the last digits


def check_folder(folder: Path) -> None:
    """Check that a folder can be written: it is missing, empty or an earlier export.

    Raises
    ------
    ParamsError
        If it is something else, which is never overwritten.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        what = "link" if folder.is_symlink() else "file"
        raise ParamsError(f"--to {folder}: is a {what}; name a folder that does not exist.")
    own = OWN if _is_export(folder) else frozenset[str]()
    others = sorted({path.name for path in folder.iterdir()} - own) if folder.is_dir() else []
    if others:
        raise ParamsError(
            f"--to {folder}: has {join_names(others, MOST_NAMES)}, which would be lost; name a folder that does not exist."
        )


def export(choice: Choice, folder: Path, onnx: bool = False) -> str:
    """Write the chosen model to `folder`, which is never half-written. Return why ONNX could not be written, or nothing.

    Raises
    ------
    ParamsError
        If the folder has other files.
    ModelError
        If timm alone cannot load the model.
    StoreError
        If the folder cannot be written.
    """
    check_folder(folder)
    check_is_timm(choice.model)
    own, config = output_module(choice), preprocessing_without_weights(choice.model)
    replaced, problem = temporary_path(folder), ""

    def write(temporary: Path) -> None:
        nonlocal problem
        temporary.mkdir(parents=True)
        _write_loadable(choice, own, config, temporary)
        (temporary / CARD).write_text(model_card(choice, config), encoding="utf-8")
        if choice.data.target.names:
            (temporary / LABELS).write_text("\n".join(choice.data.target.names) + "\n", encoding="utf-8")
        if onnx:
            problem = write_onnx(own, config, _outputs(choice), temporary / ONNX)
        if folder.exists():
            folder.rename(replaced)

    try:
        write_atomically(folder, write)
    except StoreError as error:
        reason = error.__cause__
        if not isinstance(reason, OSError):
            raise
        raise StoreError(f"--to {folder}: cannot be written ({cause(reason)}); {fix(reason)}.") from error
    finally:
        if replaced.exists():
            remove(replaced) if folder.exists() else replaced.rename(folder)
    return problem


def _outputs(choice: Choice) -> str:
    return "logits" if choice.finetuned else "embeddings"


def _is_export(folder: Path) -> bool:
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return isinstance(found, dict) and MARK in found
    except (OSError, ValueError):
        return False


def _write_loadable(choice: Choice, own: Output, config: dict[str, Any], folder: Path) -> None:
    """Write the first form that loads to the same outputs."""
    reasons = []
    for form in timm_forms(choice, own):
        try:
            _write_form(choice, form, config, folder)
            _check_same(own, config, folder)
        except ItmError:
            raise
        except Exception as error:  # timm and torch raise many types
            reasons.append(cause(error))
            for path in folder.iterdir():
                path.unlink()
            continue
        return
    raise ModelError(f"{choice.model.name}: cannot be exported, because timm does not load it back the same: {reasons[-1]}")


def _write_form(choice: Choice, form: TimmForm, config: dict[str, Any], folder: Path) -> None:
    write_config(choice, form, config, folder / CONFIG)
    values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    values[MARK] = {"data": choice.data.data, "data_hash": choice.data.hash, "model": choice.row.model}
    values[MARK] |= {"weights": choice.row.weights, "outputs": _outputs(choice)}
    (folder / CONFIG).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _save(form.module, folder / WEIGHTS)
    if form.head:
        _save(form.head, folder / HEAD)
    use = "classifies images of" if choice.finetuned else "embeds images, as it was ranked for"
    title = f"Load {choice.row.model}, which {use} {choice.data.data}. It needs timm only."
    grey, pooling = config["input_size"][0] == 1, choice.model.pooling
    text = load_script(form, title.replace("\\", "/").replace('"', "'"), pooling, grey, bool(choice.finetuned))
    (folder / SCRIPT).write_text(text, encoding="utf-8")


def _save(module: torch.nn.Module, path: Path) -> None:
    # clones, because safetensors refuses tensors that share memory
    save_file({name: tensor.contiguous().clone() for name, tensor in module.state_dict().items()}, path, {"format": "pt"})
    path.chmod(path.with_name(CONFIG).stat().st_mode)  # safetensors makes files that only their owner can read


def _check_same(own: Output, config: dict[str, Any], folder: Path) -> None:
    """Raise an error if the folder loads to another transform or to other outputs."""
    model, transform = runpy.run_path(str(folder / SCRIPT))["load"]()
    height, width = config["input_size"][-2:]
    image = Image.effect_noise((width + 30, height + 50), 60).convert("RGB")
    expected = create_transform(config)(image)
    if not torch.equal(transform(image), expected):
        raise ValueError("its transform differs")
    images = torch.stack([expected, expected.flip(-1)])
    with torch.inference_mode():
        outputs, again = own(images), model(images)
    if outputs.shape != again.shape or not (outputs - again).abs().max() <= TOLERANCE * outputs.abs().max():  # NaN differs
        raise ValueError("its outputs differ")
