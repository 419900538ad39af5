"""Custom model code."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from itm.core.errors import ModelError
from itm.core.types import ModelRef
from itm.zoo.construct import build_without_weights
from itm.zoo.load import build


def of(factories: Path, function: str, **arguments: Any) -> ModelRef:
    return ModelRef(
        f"{function}.v1", factory=f"{factories}:{function}", arguments=arguments, checkpoint=factories.with_name("w.pth")
    )


def test_factory_builds_module_with_weights(factories: Path) -> None:
    weights = {
        "stem.weight": torch.rand(4, 3, 3, 3),
        "stem.bias": torch.rand(4),
        "head.weight": torch.rand(2, 4),
        "head.bias": torch.rand(2),
    }
    torch.save(weights, factories.with_name("w.pth"))
    built = build(of(factories, "small", width=4, classes=2))
    assert not built.training
    assert all(torch.equal(tensor, weights[key]) for key, tensor in built.state_dict().items())


def test_edited_file_is_imported_again_without_bytecode(factories: Path) -> None:
    code = factories.read_text()
    for width in (6, 7):
        factories.write_text(code.replace("width=8, classes=3):\n    return", f"width={width}, classes=3):\n    return"))
        weights = {"stem.weight": torch.rand(width, 3, 3, 3), "stem.bias": torch.rand(width)}
        torch.save({**weights, "head.weight": torch.rand(3, width), "head.bias": torch.rand(3)}, factories.with_name("w.pth"))
        assert build(of(factories, "small")).state_dict()["stem.bias"].shape == (width,)
    assert not (factories.parent / "__pycache__").exists()


def test_unchanged_file_is_imported_once(factories: Path) -> None:
    torch.save({}, factories.with_name("w.pth"))
    first, second = (build_without_weights(of(factories, "small", width=width)) for width in (2, 3))
    assert type(first) is type(second)


def test_import_is_thread_safe(factories: Path) -> None:
    factories.write_text(f"import time; time.sleep(0.3)\n{factories.read_text()}")
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(build_without_weights, [of(factories, "small"), of(factories, "reads_numbers")]))
    assert type(made[0]) is type(made[1])


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("smal", {}, r"has no function 'smal'; did you mean 'small'\? It has: small, through_timm"),
        ("small", {"widht": 3}, "does not take the argument 'widht'; did you mean 'width'"),
        ("small", {"width": "wide"}, "cannot be built: TypeError"),
        ("through_timm", {"num_clases": 3}, "does not take the argument 'num_clases'"),
        ("no_module", {}, "returned a dict, not a torch.nn.Module"),
        ("no_embeddings", {}, "returned a Linear without forward_features and forward_head"),
        ("no_pre_logits", {}, "whose forward_head does not accept `pre_logits`"),
    ],
)
def test_factory_errors(factories: Path, function: str, arguments: dict[str, Any], message: str) -> None:
    torch.save({}, factories.with_name("w.pth"))
    with pytest.raises(ModelError, match=message):
        build(of(factories, function, **arguments))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def small(:", "SyntaxError"),
        ("import no_such_package", "No module named 'no_such_package'"),
        ("1 / 0", "ZeroDivisionError"),
        ("import sys; sys.exit(3)", "SystemExit"),
    ],
)
def test_import_errors(factories: Path, code: str, message: str) -> None:
    torch.save({}, factories.with_name("w.pth"))
    factories.write_text(code)
    with pytest.raises(ModelError, match=rf"factories\.py: cannot be imported: .*{message}"):
        build(of(factories, "small"))
    assert not any(getattr(module, "__file__", None) == str(factories) for module in sys.modules.values())


def test_missing_factory_file_is_an_error(factories: Path) -> None:
    torch.save({}, factories.with_name("w.pth"))
    factories.unlink()
    with pytest.raises(ModelError, match="no such file"):
        build(of(factories, "small"))
