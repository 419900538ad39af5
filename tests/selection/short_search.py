"""Three small models on scanned digits, and runs that are short enough for a test."""

from pathlib import Path

from itm.core.params import Params
from itm.core.yaml_records import parse
from itm.store.layout import Store

MODELS = ("test_resnet.drawn_long", "test_resnet.drawn_short", "test_efficientnet.textures")
ROOT = Path(__file__).resolve().parents[2]


def short_params(store: Store, **sections: dict[str, object]) -> Params:
    values = {
        "data": {"sets": ["digits"], "max_images": 150},
        "zoo": {"file": ROOT / "data" / "zoo" / "zoo.yaml", "models": MODELS},
        "score": {"names": ["linear_probe", "knn"]},
        "finetune": {
            "protocols": ["full"],
            "seeds": 1,
            "steps": 2,
            "evaluations": 2,
            "learning_rates": [1e-4, 1e-2],
            "few_images_divisor": 1,
            "batch_norm": "frozen",
        },
        "runner": {"kind": "inline"},
        "extract": {"device": "cpu"},
        "store": store.root,
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section  # type: ignore[operator]
    return parse(values, Params, "test")
