"""The model card of an exported model, as Markdown."""

from typing import Any

from itm.core.text import decimals, format_fixed, interval, pluralize
from itm.export.choice import Choice
from itm.finetuning.accuracy import accuracy
from itm.report.confirmation import percent_interval
from itm.zoo.licences import known_licence
from itm.zoo.recipe import recipe
from itm.zoo.timm_names import timm_config

UNKNOWN = "unknown"


def model_card(choice: Choice, config: dict[str, Any]) -> str:
    """Return what a user of the folder has to know. `config` is the preprocessing of the model."""
    licence = weights_licence(choice)
    head = ["---", "library_name: timm", *([f"license: {licence}"] if licence != UNKNOWN else []), "tags:", "- timm"]
    kind = "image-classification" if choice.finetuned else "image-feature-extraction"
    lines = [*head, f"pipeline_tag: {kind}", "---", "", f"# {choice.row.model} for {choice.data.data}", ""]
    lines += [_summary(choice), "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in _facts(choice, config, licence).items()]
    lines += ["", "## Use", "", "`python load.py IMAGE...` prints the output of the model. In Python:", ""]
    output = "logits [n, classes]; .softmax(dim=1) gives probabilities" if choice.finetuned else "embeddings [n, width]"
    lines += ["```python", "from load import load", "", "model, transform = load()"]
    lines += [f"outputs = model(transform(image)[None])  # {output}", "```"]
    if code := recipe(choice.model):
        lines += ["", "## Recipe", "", "Build the model before fine-tuning with timm:", "", "```python", code, "```"]
    return "\n".join(lines) + "\n"


def weights_licence(choice: Choice) -> str:
    """Return the licence of timm's weights, or "unknown": nothing says under which licence a checkpoint of one's own is."""
    model = choice.model
    if not model.pretrained or model.checkpoint is not None or model.architecture is None:
        return UNKNOWN
    return known_licence(timm_config(model.architecture).get("license")) or UNKNOWN


def _summary(choice: Choice) -> str:
    data, row = choice.data, choice.row
    text = f"itm ranked it {_place(row.rank)} of {pluralize(len(data.rows), 'model')} for the data set {data.data}."
    if choice.finetuned:
        return f"{text} All of its weights were fine-tuned on the training images."
    return f"{text} Its weights are those before fine-tuning, and its output is the embedding that was ranked."


def _facts(choice: Choice, config: dict[str, Any], licence: str) -> dict[str, str]:
    data, row, run = choice.data, choice.row, choice.finetuned
    found = {"data": f"{data.data} ({data.source}), {pluralize(data.images, 'image')}"}
    if data.target.names:
        found["classes"] = f"{len(data.target.names)}, in the order of labels.txt"
    if row.estimate:
        places = decimals([row.estimate])
        value = f"{format_fixed(row.estimate.value, places)} {interval(row.estimate, places)}"
        found[f"score {data.rank_by}, 95 % interval"] = value
    if run:
        if run.test_accuracy is not None:
            tested = percent_interval(accuracy([run.test_accuracy], run.test_images))
            found["fine-tuned accuracy, 95 % interval"] = f"{tested} % on {pluralize(run.test_images, 'test image')}"
        else:
            found["not finished"] = f"trained for {100 * run.trained:.0f} % of the steps, and not tested"
        found["fine-tuning"] = f"seed {run.seed}, learning rate {run.learning_rate:g}, the best run on the validation images"
    channels, height, width = config["input_size"]
    found["input"] = f"{width} x {height} pixels, {pluralize(channels, 'channel')}"
    if row.facts:
        found["parameters"] = f"{row.facts.parameters:,}"
    found |= {"pre-training": row.facts.pretraining if row.facts and row.facts.pretraining else UNKNOWN}
    found |= {"licence of the pre-trained weights": licence, "hash of the pre-trained weights": row.weights or UNKNOWN}
    return found | {"hash of the data": data.hash}


def _place(rank: int | None) -> str:
    return "first" if rank == 1 else f"number {rank}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
