"""The measurement of the code's structure finds cycles, imports against the layers and long files."""

import sys
from pathlib import Path

import pytest

from benchmarks.structure import ROOT, cycles, measure, module_name, read_layers, upward_imports

KEYS = [
    "modules_at_top",
    "package_cycles",
    "file_cycles",
    "upward_imports",
    "longest_file",
    "median_file",
    "lines_library",
    "lines_tests",
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project of three layers without a fault."""
    (tmp_path / "pyproject.toml").write_text(
        '[[tool.importlinter.contracts]]\ntype = "layers"\nlayers = ["flows", "itm.data | itm.zoo", "itm.core"]\n'
    )
    files = {"itm/__init__.py": "", "flows/rank.py": "import itm.data.index\n", "tests/test_it.py": "\n" * 3}
    files |= {"itm/core/keys.py": "", "itm/data/index.py": "from itm.core import keys\n", "itm/zoo/load.py": ""}
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_sound_project_has_no_offender(project):
    figures, offenders = measure(project)
    assert list(figures) == KEYS
    assert figures | {"median_file": 0} == dict(zip(KEYS, [1, 0, 0, 0, 3, 0, 2, 3], strict=True))
    assert offenders == []


def test_an_import_within_a_function_counts(project):
    (project / "itm/core/keys.py").write_text("def key():\n    from itm.data import index\n    return index\n")
    figures, offenders = measure(project)
    assert (figures["package_cycles"], figures["file_cycles"], figures["upward_imports"]) == (1, 1, 1)
    assert offenders == [
        "package cycle: itm.core, itm.data",
        "file cycle: itm.core.keys, itm.data.index",
        "upward import: itm.core.keys imports itm.data.index",
    ]


def test_packages_of_one_layer_are_independent(project):
    (project / "itm/zoo/load.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import itm.data.index\n")
    figures, _ = measure(project)
    assert (figures["package_cycles"], figures["file_cycles"], figures["upward_imports"]) == (0, 0, 1)


def test_long_files_are_listed(project):
    (project / "tests/test_it.py").write_text("\n" * 251)
    figures, offenders = measure(project)
    assert figures["longest_file"] == 251
    assert offenders == ["long file: tests/test_it.py has 251 lines"]


def test_components_of_a_graph():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"e"}}) == [["a", "b", "c"]]


def test_a_package_is_named_by_its_folder():
    assert module_name(Path("itm/zoo/__init__.py")) == "itm.zoo"
    assert module_name(Path("itm/zoo/load.py")) == "itm.zoo.load"


def test_every_package_has_a_layer():
    layers = [package for layer in read_layers(ROOT / "pyproject.toml") for package in layer]
    packages = {f"itm.{path.parent.name}" for path in (ROOT / "itm").glob("*/__init__.py")} | {"flows", "tasks"}
    assert packages == set(layers)


def test_a_name_that_begins_alike_is_another_package():
    assert list(upward_imports({"itm.core.x": {"itm.core_data.y"}}, [["itm.core_data"], ["itm.core"]]))
    assert not list(upward_imports({"itm.core_data.x": {"itm.core.y"}}, [["itm.core_data"], ["itm.core"]]))


def test_no_benchmark_hides_a_module_of_python():
    """A script finds the files next to it before those of Python, so one with such a name breaks all of them."""
    names = {path.stem for path in (ROOT / "benchmarks").iterdir()}
    assert "structure" in names
    assert not names & sys.stdlib_module_names
