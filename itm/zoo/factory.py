"""Custom model code, given as `file.py:function`."""

import inspect
import sys
import threading
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import itm.zoo.timm_gate  # noqa: F401  the file's `import timm` needs the patched torchvision
from itm.core.errors import ModelError, did_you_mean
from itm.core.keys import content_key, file_hash

_import_lock = threading.Lock()  # other threads must not see a partially imported module


class _SourceLoader(SourceFileLoader):
    """Loader without bytecode cache, which misses edits within a second and writes next to the file."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.get_filename(fullname))
        return code


def factory_file(factory: str) -> Path:
    """Return the file of a `file.py:function`, or raise a `ModelError` if it does not exist."""
    path = Path(factory.rpartition(":")[0])
    if not path.is_file():
        raise ModelError(f"factory {factory!r}: no such file; the form is 'file.py:function'.")
    return path


def load_factory(factory: str) -> Callable[..., object]:
    """Import the file of `file.py:function` and return the function. An unchanged file is imported only once.

    Raises
    ------
    ModelError
        If the file is missing, cannot be imported, or does not have the function.
    """
    path, name = factory_file(factory), factory.rpartition(":")[2]
    with _import_lock:
        module = _import(path)
    function: Callable[..., object] | None = getattr(module, name, None)
    if not callable(function):
        own = [n for n, value in vars(module).items() if inspect.isfunction(value) and value.__module__ == module.__name__]
        raise ModelError(f"{path} has no function {name!r}{did_you_mean(name, own)} It has: {', '.join(own) or 'none'}.")
    return function


def _import(path: Path) -> ModuleType:
    name = f"itm_factory_{content_key([str(path), file_hash(path)])[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path, loader=_SourceLoader(name, str(path)))
    if spec is None or spec.loader is None:
        raise ModelError(f"{path}: is not importable Python code.")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # custom code can raise anything
        del sys.modules[name]
        raise ModelError(
            f"{path}: cannot be imported: {type(error).__name__}: {error}. Only this file is imported, so code that it shares "
            "must be in an installed package."
        ) from error
    return module
