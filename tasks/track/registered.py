"""The registered model of a data set, whose alias `recommended` is a model that MLflow loads.

A version has the exported folder of the recommended model and the code that serves it, and no pickle. A model that cannot be
exported is a version without files, with the reason in its description.
"""

import logging
import warnings
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import itm.export.predict
from itm.core.errors import ItmError, cause
from itm.core.keys import content_key, registered_name
from itm.core.rankings import DataRanking, Ranking
from itm.core.secrets import error_message
from itm.export.choice import Choice, choose_from
from itm.export.folder import CARD, export
from itm.store.layout import Store

log = logging.getLogger("itm.track")

ALIAS = "recommended"
LONGEST = 5000  # characters of a description
PACKAGES = ("torch", "torchvision", "timm", "safetensors", "pillow", "numpy", "pandas")  # that serve a model, besides mlflow
LOADABLE = "loadable"  # tag: whether the version has files


def register(client: MlflowClient, ranking: Ranking, data: DataRanking, model: str, run: str, store: Store) -> None:
    """Move the alias to a model, whose files become artifacts of `run`.

    A version is added only if the model, its weights, its fine-tuning or the data have changed, or if it can be exported now
    and could not before.
    """
    name = registered_name(f"itm-{data.data}")
    before = _tags_of_alias(client, name)
    try:
        choice, problem = choose_from(ranking, data, store, model), ""
    except ItmError as error:
        choice, problem = None, error_message(error)
    tags = {"model": model, "data_hash": data.hash, "finetuned": choice.finetuned.key if choice and choice.finetuned else ""}
    tags["weights"] = next((row.weights for row in data.rows if row.model == model), None) or ""
    is_same = tags.items() <= before.items()
    if is_same and before.get(LOADABLE) == "yes":
        return
    with TemporaryDirectory() as folder:
        card = ""
        if choice:
            card, problem = _save(choice, Path(folder))
        if problem:
            if is_same:
                return
            log.warning("%s: the version of the registered model %s has no files: %s", model, name, problem)
        source = f"models/{content_key(tags)[:16]}"
        client.log_dict(run, tags, f"{source}/model.json")
        if not problem:
            client.log_artifacts(run, str(Path(folder) / "served"), source)
        _add_version(client, name, data, f"runs:/{run}/{source}", run, tags, card, problem)


def _tags_of_alias(client: MlflowClient, name: str) -> dict[str, str]:
    try:
        return dict(client.get_model_version_by_alias(name, ALIAS).tags)
    except MlflowException:  # there is none
        return {}


def _save(choice: Choice, folder: Path) -> tuple[str, str]:
    """Write the model as MLflow loads it. Return its card, and why it cannot be loaded, if so."""
    try:
        export(choice, folder / "exported")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mlflow.pyfunc warns of its own type hints when it is imported
            _save_served(choice, folder)
    except ItmError as error:
        return "", error_message(error)
    except Exception as error:  # the ranking is logged whatever a model does
        log.debug("%s cannot be exported", choice.row.model, exc_info=True)
        return "", f"{choice.row.model}: cannot be exported ({type(error).__name__}: {cause(error)})."
    return (folder / "exported" / CARD).read_text(encoding="utf-8"), ""


def _save_served(choice: Choice, folder: Path) -> None:
    """Write the exported folder as a model of MLflow, whose code is the file `served_model.py`."""
    from mlflow import pyfunc  # imported late: it takes a second, and most rankings add no version
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    width = choice.row.facts.width if choice.row.facts else -1
    embedding = TensorSpec(np.dtype(np.float32), (-1, width))
    outputs = Schema([ColSpec("float", label) for label in choice.labels] or [embedding])
    pyfunc.save_model(
        folder / "served",
        python_model=str(Path(__file__).with_name("served_model.py")),
        artifacts={"model": str(folder / "exported"), "predict": str(itm.export.predict.__file__)},
        signature=ModelSignature(outputs=outputs),  # a check of inputs would refuse pictures
        input_example=np.zeros((1, 8, 8, 3), np.uint8),
        pip_requirements=[f"{package}=={version(package).partition('+')[0]}" for package in PACKAGES],
    )


def _add_version(
    client: MlflowClient, name: str, data: DataRanking, source: str, run: str, tags: dict[str, str], card: str, problem: str
) -> None:
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name, description=f"The model to fine-tune for {data.data}.")
    text = f"{tags['model']} cannot be loaded from MLflow: {problem}" if problem else _without_front_matter(card)
    tags = tags | {LOADABLE: "no" if problem else "yes"}
    added = client.create_model_version(name, source, run_id=run, tags=tags, description=text[:LONGEST])
    client.set_registered_model_alias(name, ALIAS, added.version)


def _without_front_matter(card: str) -> str:
    return card.split("---\n", 2)[-1].strip()
