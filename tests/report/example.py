"""A ranking with everything a report has to show: ties, failures of every size, rejected images, long and hostile names."""

from dataclasses import replace

from itm.core.keys import content_key
from itm.core.rankings import DataRanking, Estimate, MetricFacts, RankedModel, Ranking, ScoreFacts
from itm.core.types import Facts, Failure, Speed, TargetSpec

HOSTILE = "custom_net.<script>alert('tag')</script>"
ACCURACY = MetricFacts("accuracy", "accuracy")
MEMORY = (
    "[enforce fail at alloc_cpu.cpp:127] out of memory: 8 images of 224 x 224 in fp32 need 11.3 GiB and 6.1 GiB are free, at a "
    "batch size of 8 after halving it from 64 three times; set extract.batch_size to 4 or extract.precision to bf16, or leave "
    "the model out with zoo.models."
)
NO_HEAD = "leep needs class probabilities of a source head, and this model has none; leave leep out of score.names."
BROKEN = "broken_csv: there is no column 'label'. Found: file, class; ?target=COLUMN names another."

ACCURACY = MetricFacts("accuracy", "accuracy")
RECIPE = 'import timm\n\nmodel = timm.create_model("vit_base_patch16_224.augreg_in21k_ft_in1k", pretrained=True)'
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
    fold_values = tuple(value + width * offset for offset in offsets)
    return Estimate(value, value - width, value + 0.8 * width, fold_values, width / 2.8, details or {})


def _details(value: float, moved: float, baseline: float) -> dict[str, float]:
    return {"accuracy": value, "balanced_accuracy": value - 0.001, "baseline": baseline, "control": value - moved}


def _data_set(
    name: str,
    values: tuple[tuple[float, int] | None, ...],
    moved: tuple[float, ...],
    baseline: float,
    order: tuple[int, ...],
    **rejected: int,
) -> DataRanking:
    rows = []
    for place, (model, value) in enumerate(zip([POOL[i] for i in order], values, strict=True), start=1):
        tag, parameters, gmacs, speed, family, pretraining = model
        weights = content_key(tag)
        if value is None:
            rows.append(RankedModel(tag, "failed", failures=(Failure(name, tag, "extract", MEMORY),)))
            continue
        details = _details(value[0], moved[place - 1], baseline)
        estimate = _estimate(value[0], 0.004 + 0.02 * (1 - value[0]), details)
        scores = {"itm": estimate, "logme": _estimate(3 * value[0] - 2.1, 0.02), "leep": _estimate(value[0] - 1.9, 0.03)}
        failures: tuple[Failure, ...] = ()
        if family == "mobilenetv3":
            del scores["leep"]
            failures = (Failure(name, tag, "score", NO_HEAD),)
        known = Facts(parameters, gmacs, 768, 224, family, pretraining)
        tied = place > 1 and value[1] == 1
        measured = Speed("a processor, 2 threads", round(1300 / speed, 3), speed, 8, 20 * parameters, 32 * parameters, 32)
        rows.append(RankedModel(tag, "ranked", place, value[1], estimate, scores, weights, known, measured, failures, tied))
    return DataRanking(
        data=name,
        source=f"folder:images/{name}",
        recipe=RECIPE,
        hash=content_key(name),
        images=3665,
        target=TargetSpec("classification", ("daisy", "dandelion", "rose", "sunflower", "tulip")),
        metric=ACCURACY,
        rank_by="itm",
        rows=tuple(rows),
        score_metric="accuracy",
        rejected=rejected,
    )


def ranked_by(ranking: Ranking, name: str) -> Ranking:
    """Return the same ranking by another score, the order of its models left as it is."""
    data_sets = (
        replace(
            data,
            rows=tuple(replace(row, estimate=row.scores.get(name)) for row in data.rows),
            rank_by=name,
            score_metric=None,
        )
        for data in ranking.data_sets
    )
    return replace(ranking, data_sets=tuple(data_sets))


def example_ranking() -> Ranking:
    """Return three data sets: one with a tie for the first place, one with a clear first, and one that failed whole."""
    rejected = {"unreadable": 3, "too large": 1, "conflicting labels": 4}
    broken = [Failure("broken_csv", model[0], "ingest", BROKEN) for model in POOL]
    return Ranking(
        data_sets=(
            _data_set("flowers5", FLOWERS, FLOWERS_MOVED, 0.244, tuple(range(9)), **rejected),
            _data_set("textures", TEXTURES, TEXTURES_MOVED, 0.305, (1, 0, 3, 5, 4, 2, 6, 7, 8)),
            DataRanking(
                data="broken_csv",
                source="csv:labels.csv",
                hash="",
                images=0,
                target=TargetSpec(),
                metric=ACCURACY,
                rank_by="itm",
                rows=tuple(RankedModel(f.model, "failed", failures=(f,)) for f in broken),
                reason=BROKEN,
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
                "Logarithm of the maximum evidence per image; only the order of the models means something.",
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
                    "splitting": "cross_validation",
                    "folds": 5,
                    "repeats": 1,
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
