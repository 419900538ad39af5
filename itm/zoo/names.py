"""Names of models as other tools write them: with the prefix of a source, in capitals, or of another library."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from itm.core.errors import ModelError, did_you_mean

HUB = "hf-hub:"
SOURCES = re.compile(r"(?:(?:https?://)?(?:www\.)?huggingface\.co/|hf[-_]hub:|hf://|timm:)?(?:timm/)?", re.IGNORECASE)
WEIGHT_FILES = {".bin", ".ckpt", ".h5", ".keras", ".npz", ".onnx", ".pkl", ".pt", ".pth", ".safetensors", ".tar"}
TORCHVISION = {
    "vit_b_16": "vit_base_patch16_224",
    "vit_b_32": "vit_base_patch32_224",
    "vit_l_16": "vit_large_patch16_224",
    "swin_t": "swin_tiny_patch4_window7_224",
    "swin_s": "swin_small_patch4_window7_224",
    "swin_b": "swin_base_patch4_window7_224",
    "swin_v2_t": "swinv2_tiny_window8_256",
    "swin_v2_s": "swinv2_small_window8_256",
    "swin_v2_b": "swinv2_base_window8_256",
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "efficientnet_v2_s": "tf_efficientnetv2_s",
    "efficientnet_v2_m": "tf_efficientnetv2_m",
    "efficientnet_v2_l": "tf_efficientnetv2_l",
    "mnasnet1_0": "mnasnet_100",
    "regnet_y_400mf": "regnety_004",
    "regnet_y_800mf": "regnety_008",
    "maxvit_t": "maxvit_tiny_tf_224",
}


def is_wildcard(pattern: str) -> bool:
    return any(character in pattern for character in "*?[")


def without_source(name: str) -> str:
    """Return a name without the source of timm's models, such as `hf-hub:timm/`."""
    return SOURCES.sub("", name, count=1).strip().rstrip("/") if SOURCES.match(name) else name


def check_is_name(pattern: str) -> None:
    """Raise a `ModelError` if `pattern` is a file or a folder instead of a name."""
    suffix = Path(pattern).suffix.lower()
    if suffix in WEIGHT_FILES:
        raise ModelError(
            f"{pattern} is a weight file, not a name; write a zoo file with `models: [{{architecture: ..., "
            f"checkpoint: {pattern}}}]` and give it as --zoo."
        )
    if suffix in (".yaml", ".yml", ".json"):
        raise ModelError(f"{pattern} is a file, not a name; give a zoo file as --zoo {pattern}.")
    if ".py" in (suffix, suffix.partition(":")[0]):
        raise ModelError(f"{pattern} is code, not a name; name it as `factory: {pattern}` in a zoo file.")
    if pattern.startswith((".", "/", "~")) and not pattern.strip("./~*").startswith("*") and "/" in pattern:
        raise ModelError(f"{pattern} is a path, not a name; name its weight file as `checkpoint` in a zoo file.")


def same_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that differ from `name` only in capitals, hyphens and underscores."""
    plain = _plain(name)
    return [other for other in known if _plain(other) == plain]


def suggestion(name: str, known: list[str]) -> str:
    """Return the end of a sentence about an unknown name or wildcard, with the most similar known names."""
    if is_wildcard(name):
        near = _similar_pattern(name, known)
        return f"; did you mean {near!r}?" if near else "."
    short = without_source(name).rpartition("/")[2]
    base = re.sub(r"_weights(\..*)?$", "", short, flags=re.IGNORECASE)
    if (timm_name := TORCHVISION.get(base.lower())) in known:
        return f"; did you mean {timm_name!r}?"
    if same := same_names(base, known):
        return f"; did you mean {same[0]!r}?"
    words = [word for word in re.split(r"[-_.]", base.lower()) if word]
    with_words = [other for other in known if all(word in other for word in words)]
    if len(words) > 1 and with_words:
        return f"; did you mean {min(with_words, key=len)!r}?"
    return did_you_mean(base, known)


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


def _similar_pattern(pattern: str, known: list[str]) -> str:
    """Return `pattern` with one misspelled part replaced, so that it matches a known name, or ""."""
    parts = {part for name in known for part in _parts(name)}
    literals = [part.strip("_-.") for part in re.split(r"[*?]+|\[[^]]*\]", pattern)]
    words = [word for literal in literals for word in re.split(r"[_.-]", literal)]
    for literal in filter(None, dict.fromkeys([*literals, *words])):
        for near in get_close_matches(literal.lower(), parts, n=5, cutoff=0.6):
            changed = pattern.replace(literal, near)
            if any(fnmatchcase(name, changed) or fnmatchcase(name, f"{changed}.*") for name in known):
                return changed
    return ""


def _parts(name: str) -> Iterable[str]:
    """Yield beginnings of `name` that end at a separator, its words, and its words without numbers."""
    for match in re.finditer(r"[_.]|$", name):
        yield name[: match.start()]
    for word in re.split(r"[_.]", name):
        yield word
        yield word.rstrip("0123456789")
