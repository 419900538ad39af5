"""The weights of fine-tuned models. Of each model on each data set, those of the run that is best on validation are kept.

A search that runs out of time keeps the best state of a run that is not finished, until there is a finished one.
"""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from itm.core.errors import StoreError, cause
from itm.core.keys import content_key
from itm.core.types import ModelRef, TargetSpec
from itm.finetuning.head import Evaluation
from itm.finetuning.values import Values
from itm.store.files import check_space, exists, write_atomically
from itm.store.layout import Store
from itm.zoo import load
from itm.zoo.facts import preprocessing_without_weights

log = logging.getLogger(__name__)

FACTS = "itm"  # the name of the facts among the metadata of the file


@dataclass(frozen=True)
class FinetunedWeights:
    """The facts of a kept run. `names` are the classes in the order of the outputs.

    `trained` is the share of the steps of the run that were done. A run that is not finished is not tested.
    """

    seed: int
    names: tuple[str, ...]
    learning_rate: float
    val_accuracy: float
    val_loss: float
    test_accuracy: float | None
    test_loss: float | None
    test_images: int
    trained: float = 1.0

    @property
    def key(self) -> str:
        """Return a key that differs between runs."""
        return content_key(asdict(self))

    @property
    def is_finished(self) -> bool:
        """Return whether the run was trained to its end."""
        return self.test_accuracy is not None

    @property
    def quality(self) -> tuple[bool, float, float]:
        """Return what runs are compared by: finished or not, then accuracy and loss on the validation images."""
        return self.is_finished, self.val_accuracy, -self.val_loss


def weights_facts(seed: int, target: TargetSpec, test_images: int, values: Values) -> FinetunedWeights:
    """Return the facts of a run from its stored values."""
    own = {name: values[name] for name in ("learning_rate", "val_accuracy", "val_loss", "test_accuracy", "test_loss")}
    return FinetunedWeights(seed, target.names, test_images=test_images, **own)


def unfinished_facts(
    seed: int, target: TargetSpec, test_images: int, learning_rate: float, val: Evaluation, trained: float
) -> FinetunedWeights:
    """Return the facts of a run of which a share `trained` of the steps is done."""
    known = {"learning_rate": learning_rate, "val_accuracy": val.accuracy, "val_loss": val.loss, "trained": trained}
    return FinetunedWeights(seed, target.names, test_accuracy=None, test_loss=None, test_images=test_images, **known)


def weights_path(model: ModelRef, data: str, data_hash: str, store: Store) -> Path:
    """Return the file of the fine-tuned weights of a model on these images of a data set."""
    identity = load.definition(model) | {"weights": load.weights_hash(model), "data": data_hash}
    return store.finetuned_weights(data, model.name, content_key(identity | {"input": preprocessing_without_weights(model)}))


def keep(path: Path, facts: FinetunedWeights, state: dict[str, torch.Tensor]) -> None:
    """Write the weights of a run unless those of a better one are kept.

    `state` is that of a `Network`. If it cannot be written, this is logged, because the accuracies of the run are still valid.
    """
    before = read_facts(path)
    if before and before.quality >= facts.quality:
        return
    # clones, because safetensors refuses tensors that share memory
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    try:
        check_space(path, sum(tensor.nbytes for tensor in tensors.values()))
        write_atomically(path, lambda temporary: save_file(tensors, temporary, {FACTS: json.dumps(asdict(facts))}))
    except StoreError as error:
        log.warning("the fine-tuned weights are not kept, so they cannot be exported: %s", error)


def read_facts(path: Path) -> FinetunedWeights | None:
    """Return the facts of kept weights, or None if there are none. A file that cannot be read is logged and ignored."""
    if not exists(path):
        return None
    try:
        with safe_open(path, framework="np") as file:
            facts = (file.metadata() or {})[FACTS]
        return TypeAdapter(FinetunedWeights).validate_json(facts)
    except (OSError, SafetensorError, KeyError, ValidationError) as error:
        log.warning("%s: the fine-tuned weights cannot be read (%s); fine-tune again with --resume always.", path, cause(error))
        return None


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Return the kept state of a `Network`.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path}: cannot be read ({cause(error)}); fine-tune again with --resume always.") from error
