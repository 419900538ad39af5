"""A ranking with everything a report has to show: ties, failures of every size, set-aside images, long and hostile names."""

from dataclasses import replace

from itm.core.keys import content_key
from itm.core.rankings import DataRanking, Estimate, RankedModel, Ranking, ScoreFacts
from itm.core.types import Facts, Failure

HOSTILE = "custom_net.<script>alert('tag')</script>"
MEMORY = (
    "[enforce fail at alloc_cpu.cpp:127] out of memory: 8 images of 224 x 224 in fp32 need 11.3 GiB and 6.1 GiB are free, at a "
    "batch size of 8 after halving it from 64 three times; set extract.batch_size to 4 or extract.precision to bf16, or leave "
    "the model out with zoo.models."
)
NO_HEAD = "leep needs class probabilities of a source head, and this model has none; leave leep out of score.names."
BROKEN = "broken_csv: column 'label' is missing from labels.csv (found: file, class); name it with ?label=class."

# name, parameters, GMACs, images a second, family, pretraining
POOL = (
    ("vit_base_patch16_224.augreg_in21k_ft_in1k", 86_567_656, 16.87, 21.4, "vit", "ImageNet-21k, ImageNet-1k"),
    ("convnext_tiny.fb_in22k", 28_589_128, 4.47, 64.2, "convnext", "ImageNet-22k"),
    ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", 5_717_416, 1.08, 262.0, "vit", "ImageNet-21k, ImageNet-1k"),
    ("resnet50.a1_in1k", 25_557_032, 4.09, 88.1, "resnet", "ImageNet-1k"),
    ("efficientnet_b0.ra_in1k", 5_288_548, 0.39, 201.5, "efficientnet", "ImageNet-1k"),
    (HOSTILE, 1_204_331, 0.21, 512.7, "custom", "own images"),
    ("mobilenetv3_small_100.lamb_in1k", 2_542_856, 0.056, 1312.0, "mobilenetv3", "ImageNet-1k"),
    ("test_vit.untrained", 371_040, 0.012, 2944.0, "vit", "untrained"),
    ("swin_large_patch4_window12_384.ms_in22k", 196_739_932, 104.08, 2.1, "swin", "ImageNet-22k"),
)
# value and tie group of each model, best first; then by how much the movement of ITM changed each value
FLOWERS = ((0.934, 1), (0.929, 1), (0.921, 1), (0.884, 2), (0.879, 2), (0.851, 3), (0.803, 4), (0.412, 5), None)
TEXTURES = ((0.8712, 1), (0.8413, 2), (0.7991, 3), (0.7968, 3), (0.7702, 4), (0.7684, 4), (0.7655, 4), (0.301, 5), None)
FLOWERS_MOVED = (0.001, -0.001, 0.0, 0.0014, 0.001, -0.002, 0.001, 0.005)
TEXTURES_MOVED = (0.05, -0.01, 0.0, 0.02, 0.03, 0.001, 0.04, 0.001)


def _estimate(value: float, width: float, details: dict[str, float] | None = None) -> Estimate:
    offsets = (-0.9, 0.4, 0.1, -0.2, 0.6)
    draws = tuple(value + width * offset for offset in offsets)
    return Estimate(value, value - width, value + 0.8 * width, draws, width / 2.8, details or {})


def _details(value: float, moved: float, majority: float) -> dict[str, float]:
    return {"accuracy": value, "balanced_accuracy": value - 0.001, "majority_rate": majority, "control": value - moved}


def _data_set(
    name: str,
    values: tuple[tuple[float, int] | None, ...],
    moved: tuple[float, ...],
    majority: float,
    order: tuple[int, ...],
    **set_aside: int,
) -> DataRanking:
    rows = []
    for place, (model, value) in enumerate(zip([POOL[i] for i in order], values, strict=True), start=1):
        tag, parameters, gmacs, speed, family, pretraining = model
        weights = content_key(tag)
        if value is None:
            rows.append(RankedModel(tag, "failed", failures=(Failure(name, tag, "extract", MEMORY),)))
            continue
        details = _details(value[0], moved[place - 1], majority)
        estimate = _estimate(value[0], 0.004 + 0.02 * (1 - value[0]), details)
        scores = {"itm": estimate, "logme": _estimate(3 * value[0] - 2.1, 0.02), "leep": _estimate(value[0] - 1.9, 0.03)}
        failures: tuple[Failure, ...] = ()
        if family == "mobilenetv3":
            del scores["leep"]
            failures = (Failure(name, tag, "score", NO_HEAD),)
        known = Facts(parameters, gmacs, 768, 224, family, pretraining)
        tied = place > 1 and value[1] == 1
        rows.append(RankedModel(tag, "ranked", place, value[1], estimate, scores, weights, known, speed, failures, tied))
    classes = ("daisy", "dandelion", "rose", "sunflower", "tulip")
    return DataRanking(name, f"folder:images/{name}", content_key(name), 3665, classes, set_aside, tuple(rows))


def ranked_by(ranking: Ranking, name: str) -> Ranking:
    """Return the same ranking by another score, the order of its models left as it is."""
    data_sets = (
        replace(data, rows=tuple(replace(row, estimate=row.scores.get(name)) for row in data.rows))
        for data in ranking.data_sets
    )
    return replace(ranking, rank_by=name, data_sets=tuple(data_sets))


def example_ranking() -> Ranking:
    """Return three data sets: one with a tie for the first place, one with a clear first, and one that failed whole."""
    aside = {"unreadable": 3, "one colour": 1, "same image in two classes": 4}
    broken = [Failure("broken_csv", model[0], "ingest", BROKEN) for model in POOL]
    return Ranking(
        rank_by="itm",
        data_sets=(
            _data_set("flowers5", FLOWERS, FLOWERS_MOVED, 0.244, tuple(range(9)), **aside),
            _data_set("made_textures", TEXTURES, TEXTURES_MOVED, 0.305, (1, 0, 3, 5, 4, 2, 6, 7, 8)),
            DataRanking(
                "broken_csv",
                "csv:labels.csv",
                "",
                0,
                (),
                {},
                tuple(RankedModel(f.model, "failed", failures=(f,)) for f in broken),
                BROKEN,
            ),
        ),
        scores=(
            ScoreFacts(
                "itm",
                "How well the classes could be told apart after a short adaptation of the embeddings.",
                "Accuracy on held-out images after the embeddings were moved towards their class; 1 is perfect.",
                "0 to 1, higher is better",
                "Zheng et al., Implicit Modeling for Transferability Estimation, NeurIPS 2025, https://arxiv.org/abs/2510.23145",
            ),
            ScoreFacts(
                "logme",
                "How much evidence the labels give for a linear model on the embeddings.",
                "Logarithm of the maximum evidence an image; only its order means anything.",
                "any number, higher is better",
                "https://arxiv.org/abs/2102.11005",
            ),
            ScoreFacts(
                "leep",
                "How well the source classes predict the target classes.",
                "Mean logarithm of the expected probability of the true class; 0 is perfect.",
                "0 or less, higher is better",
                "Nguyen et al., LEEP, ICML 2020",
            ),
        ),
        provenance={
            "itm": "0.1.0",
            "params": {
                "score": {
                    "names": ["itm", "logme", "leep"],
                    "splits": ["train", "val"],
                    "splitting": "cross_fitted",
                    "folds": 5,
                    "seeds": 1,
                    "seed": 12357,
                },
                "extract": {"precision": "fp32"},
            },
            "data": {"flowers5": {"hash": content_key("flowers5"), "splits": {"train": 0.6, "val": 0.2, "test": 0.2}}},
            "weights": {model[0]: content_key(model[0]) for model in POOL[:3]},
            "machine": {"cpu": "2 cores", "gpu": None, "deterministic": True},
            "packages": [{"name": "timm", "version": "1.0.22"}, {"name": "torch", "version": "2.13.0"}],
            "warnings": [],
        },
    )
