"""The text of load.py, which loads an exported folder with timm."""

from itm.export.module import BOTH, Call, TimmForm

HEAD = '''"""{title}

`python load.py IMAGE...` prints {prints}.
"""

import sys
from pathlib import Path

import torch
from PIL import Image, ImageOps

try:
    import timm
except RuntimeError:  # torchvision for CUDA beside torch for CPUs; itm repairs this
    from itm.zoo.timm_gate import timm

FOLDER = Path(__file__).resolve().parent

'''

PLAIN = '''
def load():
    """Return the model and the transform of its images."""
    model = timm.create_model(f"local-dir:{FOLDER}", pretrained=True).eval()
'''

SHAPED = '''
def load():
    """Return the model and the transform of its images."""
    model = timm.create_model(f"local-dir:{{FOLDER}}")
{calls}
    model.load_state_dict(load_file(FOLDER / "model.safetensors"))
    model.eval()
'''

TRANSFORM = """    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))
"""

GREY = """    transform.transforms.insert(0, lambda image: image.convert("L"))
"""

WRAPPED = """
class Model(torch.nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = {head}

    def forward(self, images):
        features = self.backbone.forward_features(images)
{embedding}
        return self.head(embedding)

"""

BOTH_POOLINGS = """        norm = getattr(self.backbone, "fc_norm", torch.nn.Identity())
        parts = features[:, 0], features[:, self.backbone.num_prefix_tokens :].mean(dim=1)
        embedding = torch.cat([norm(part) for part in parts], dim=1)"""

OWN_POOLING = """        embedding = self.backbone.forward_head(features, pre_logits=True)"""

WRAP = """    model = Model(model).eval()
"""

LOAD_HEAD = """    model.head.load_state_dict(load_file(FOLDER / "head.safetensors"))
"""

MAIN = """    return model, transform


def read(path):
    \"""Return an image as RGB, upright, on white where it is transparent.\"""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith(("I", "F", "CMYK")):
        sys.exit(f"{path}: has the mode {image.mode}, for which there is no single way to RGB; convert it before.")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


if __name__ == "__main__":
    model, transform = load()
    images = [read(path) for path in sys.argv[1:]]
    if not images:
        sys.exit("usage: python load.py IMAGE...")
    with torch.inference_mode():
        outputs = model(torch.stack([transform(image) for image in images]))
"""

PRINT_CLASSES = """    labels = (FOLDER / "labels.txt").read_text(encoding="utf-8").removesuffix("\\n").split("\\n")
    for path, row in zip(sys.argv[1:], outputs.softmax(dim=1)):
        print(path, {label: round(share.item(), 4) for label, share in zip(labels, row)})
"""

PRINT_SHAPE = """    print("embeddings", tuple(outputs.shape))
"""


def load_script(form: TimmForm, title: str, pooling: str | None, grey: bool, classifies: bool) -> str:
    """Return load.py for a form of a model. `classifies` is true if its outputs are classes and not embeddings."""
    parts = [HEAD.format(title=title, prints="class probabilities" if classifies else "the shape of the embeddings")]
    if form.wraps:
        head = f"torch.nn.Linear({form.head.in_features}, {form.head.out_features})" if form.head else "torch.nn.Identity()"
        parts.append(WRAPPED.format(head=head, embedding=BOTH_POOLINGS if pooling == BOTH else OWN_POOLING))
    parts.append(SHAPED.format(calls="\n".join(map(_line, form.calls))) if form.calls else PLAIN)
    parts += [TRANSFORM, *([GREY] if grey else [])]
    if form.wraps:
        parts += [WRAP, *([LOAD_HEAD] if form.head else [])]
    text = "".join([*parts, MAIN, PRINT_CLASSES if classifies else PRINT_SHAPE])
    if "load_file(" in text:
        text = text.replace("from PIL import Image, ImageOps\n", "from PIL import Image, ImageOps\n" + IMPORT_LOADER)
    return text


IMPORT_LOADER = "from safetensors.torch import load_file\n"


def _line(call: Call) -> str:
    method, positional, named = call
    arguments = [*map(repr, positional), *(f"{name}={value!r}" for name, value in named.items())]
    return f"    model.{method}({', '.join(arguments)})".replace("'", '"')
