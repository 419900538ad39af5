"""A team's own model code: `file.py:function`, imported from where it lies."""

import inspect
import sys
import threading
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import itm.zoo.timm_import  # noqa: F401  the file's own `import timm` needs the repaired torchvision
from itm.core.errors import ModelError, did_you_mean
from itm.core.keys import content_key, file_hash

_importing = threading.Lock()  # a second thread must not find the module half imported


class _Source(SourceFileLoader):
    """Compiles the file each time: Python's bytecode cache misses edits within a second, and lies beside the file."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.get_filename(fullname))
        return code


def factory_file(factory: str) -> Path:
    """Return the file of a `file.py:function`.

    Raises
    ------
    ModelError
        If it is not written so, or there is no such file.
    """
    path = Path(factory.rpartition(":")[0])
    if not path.is_file():
        raise ModelError(f"factory {factory!r}: no such file; write 'file.py:function'.")
    return path


def load_factory(factory: str) -> Callable[..., object]:
    """Import the file of `file.py:function` and return the function. A file that has not changed is imported once.

    Raises
    ------
    ModelError
        If the file is missing or does not run, or has no such function.
    """
    path, name = factory_file(factory), factory.rpartition(":")[2]
    with _importing:
        module = _import(path)
    function = getattr(module, name, None)
    if not callable(function):
        own = [n for n, value in vars(module).items() if inspect.isfunction(value) and value.__module__ == module.__name__]
        raise ModelError(f"{path} has no function {name!r}{did_you_mean(name, own)} It has: {', '.join(own) or 'none'}.")
    made: Callable[..., object] = function
    return made


def _import(path: Path) -> ModuleType:
    name = f"itm_factory_{content_key([str(path), file_hash(path)])[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path, loader=_Source(name, str(path)))
    if spec is None or spec.loader is None:
        raise ModelError(f"{path}: is not Python code that can be imported.")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the team's code does at import
        del sys.modules[name]
        raise ModelError(
            f"{path}: cannot be imported: {type(error).__name__}: {error}. It is imported alone, so code it shares with others "
            "must be an installed package."
        ) from error
    return module
