"""Pickles are never loaded: not from a checkpoint, a cache or a result of another process."""

import ast
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from itm.core.params import Params
from itm.core.yaml_records import parse
from itm.run import pipeline
from itm.store.layout import Store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
FILES = {path.relative_to(ROOT).as_posix(): path for room in ("itm", "tasks", "flows") for path in (ROOT / room).rglob("*.py")}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
PICKLERS = {"_pickle", "cloudpickle", "dill", "jsonpickle", "joblib", "marshal", "pickle", "shelve"}
LOADERS = {"torch.load", "torch.hub.load_state_dict_from_url", "torch.jit.load"}
OTHER_LOADERS = {"read_pickle", "to_pickle", "unsafe_load", "full_load"}  # methods of pandas and PyYAML


class Bomb:
    """Object that creates a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def _calls(tree: ast.AST) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each called function with its keyword arguments, as source text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg or "**": ast.unparse(word.value) for word in node.keywords}


def _faults(tree: ast.AST) -> list[str]:
    """Return the constructs of a file that could unpickle something."""
    found = []
    for node in ast.walk(tree):
        names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [name for name in names if name.partition(".")[0] in PICKLERS]
        if isinstance(node, ast.ImportFrom) and node.module in ("torch", "torch.hub", "torch.jit", "yaml"):
            found += [f"{node.module}.{name.name}" for name in node.names if "load" in name.name]
    for called, words in _calls(tree):
        safe = called == "torch.load" and words.get("weights_only") == "True"
        if (called in LOADERS and not safe) or called.rpartition(".")[2] in OTHER_LOADERS or called == "yaml.load":
            found.append(called)
        if words.get("allow_pickle", "False") != "False":
            found.append(f"{called} with allow_pickle")
    return found


def test_no_code_reads_pickles() -> None:
    assert len(FILES) > 100
    assert {name: faults for name, tree in TREES.items() if (faults := _faults(tree))} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "def f():\n    from joblib import load",
        "import cloudpickle as plain",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, **options)",
        "from torch import load",
        "np.load(path, allow_pickle=True)",
        "open_memmap(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "yaml.load(text, Loader)",
    ],
)
def test_search_detects_all_ways_to_read_pickles(code: str) -> None:
    assert _faults(ast.parse(code))


def test_tasks_do_not_persist_results() -> None:
    tasks = {
        f"{name}: {node.name}": dict(_calls(decorator)).get("task", {})
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for decorator in node.decorator_list
        if ast.unparse(decorator).partition("(")[0] in ("task", "prefect.task")
    }
    assert len(tasks) >= 10
    kept = {"persist_result": "False", "cache_policy": "NO_CACHE"}
    assert {name: words for name, words in tasks.items() if not kept.items() <= words.items()} == {}


@pytest.mark.parametrize("pretrained", [False, True])
@pytest.mark.parametrize(
    ("suffix", "layout"),
    [(".pth", "zip"), (".pth", "legacy"), (".bin", "protocol"), (".safetensors", "zip"), (".tar", "legacy")],
)
def test_malicious_checkpoint_is_a_failure_and_is_not_executed(
    tmp_path: Path, zoo_file: Path, suffix: str, pretrained: bool, layout: str
) -> None:
    trace, bomb = tmp_path / "trace", tmp_path / f"bomb{suffix}"
    content = {"state_dict": {"weight": Bomb(trace)}}
    torch.save(content, bomb, _use_new_zipfile_serialization=layout == "zip", pickle_protocol=4 if layout == "protocol" else 2)
    assert zipfile.is_zipfile(bomb) is (layout == "zip")
    entries = yaml.safe_load(zoo_file.read_text(encoding="utf-8"))["models"]
    good = next(one for one in entries if one["name"] == "test_resnet.drawn_long")
    good |= {"checkpoint": str(zoo_file.parent / good["checkpoint"])}
    bad = {"name": "bomb", "architecture": "test_resnet", "checkpoint": str(bomb), "pretrained": pretrained}
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump({"models": [bad, good]}), encoding="utf-8")
    values = {
        "data": {"sets": ["synthetic:shapes?images=40"]},
        "zoo": {"file": tmp_path / "zoo.yaml"},
        "score": {"names": ["knn"], "rank_by": "knn"},
        "extract": {"decode_workers": 0},
        "store": tmp_path / "store",
    }
    params = parse(values, Params, "test")
    (data,) = pipeline.run(params, Store(params.store)).data_sets
    assert not trace.exists()
    rows = {row.model: row for row in data.rows}
    assert rows["test_resnet.drawn_long"].status == "ranked"
    assert rows["bomb"].status == "failed"
    assert bomb.name in rows["bomb"].failures[0].reason


def test_bomb_executes_when_unpickled(tmp_path: Path) -> None:
    torch.save(Bomb(tmp_path / "trace"), tmp_path / "bomb.pth")
    torch.load(tmp_path / "bomb.pth", weights_only=False)
    assert (tmp_path / "trace").is_dir()
