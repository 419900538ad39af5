"""Measures the structure of the code: cycles, imports against the layers, and the length of files.

`python -m benchmarks.structure` lists what is wrong and ends with one line of JSON; `--check` also exits with status 1 if a
figure is beyond its limit. The layers are those of the import-linter contract in pyproject.toml.
"""

import argparse
import ast
import json
import statistics
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ("itm", "tasks", "flows")
FOLDERS = (*LIBRARY, "benchmarks", "tests")
LIMITS = {"modules_at_top": 2, "package_cycles": 0, "file_cycles": 0, "upward_imports": 0, "longest_file": 250}

Graph = Mapping[str, set[str]]


def measure(root: Path = ROOT) -> tuple[dict[str, float], list[str]]:
    """Return the figures by name, and one line per offender: a cycle, an import against the layers or a long file."""
    files = {module_name(path.relative_to(root)): path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))}
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in files.items()}
    graph = {name: set(imported_modules(path, files.keys())) for name, path in files.items()}
    file_cycles = cycles(graph)
    package_cycles = cycles(package_graph(graph))
    upward = sorted(upward_imports(graph, read_layers(root / "pyproject.toml")))
    figures: dict[str, float] = {
        "modules_at_top": len(list((root / "itm").glob("*.py"))),
        "package_cycles": len(package_cycles),
        "file_cycles": len(file_cycles),
        "upward_imports": len(upward),
        "longest_file": max(lines.values()),
        "median_file": statistics.median(lines.values()),
        "lines_library": sum(count for name, count in lines.items() if name.partition(".")[0] in LIBRARY),
        "lines_tests": sum(count for name, count in lines.items() if name.partition(".")[0] == "tests"),
    }
    offenders = [f"package cycle: {', '.join(cycle)}" for cycle in package_cycles]
    offenders += [f"file cycle: {', '.join(cycle)}" for cycle in file_cycles]
    offenders += [f"upward import: {importer} imports {imported}" for importer, imported in upward]
    long_files = sorted((name for name in lines if lines[name] > LIMITS["longest_file"]), key=lambda name: -lines[name])
    offenders += [f"long file: {files[name].relative_to(root)} has {lines[name]} lines" for name in long_files]
    return figures, offenders


def module_name(path: Path) -> str:
    """Return the dotted name of a Python file; a package has the name of its folder.

    >>> module_name(Path("itm/zoo/__init__.py"))
    'itm.zoo'
    """
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, known: Iterable[str]) -> Iterator[str]:
    """Yield every known module that a file imports, also inside functions and under TYPE_CHECKING.

    `from package import name` imports the module `package.name` if there is one, and the package itself otherwise.
    """
    known = set(known)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            candidates = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else f"{node.module}" for name in candidates]
        yield from (name for name in names if name in known)


def package_graph(graph: Graph) -> Graph:
    """Return which packages of the library import which: the sub-packages of itm, tasks and flows."""
    packages: dict[str, set[str]] = {}
    for importer, imported in graph.items():
        if importer.partition(".")[0] in LIBRARY:
            packages.setdefault(_package(importer), set()).update(map(_package, imported))
    return packages


def _package(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "itm" else 1])


def cycles(graph: Graph) -> list[list[str]]:
    """Return the strongly connected components with more than one member, each in alphabetical order.

    >>> cycles({"a": {"b"}, "b": {"a", "c"}, "c": set()})
    [['a', 'b']]
    """
    reachable = {name: _reachable(name, graph) for name in graph}
    found = {tuple(sorted(other for other in reachable[name] if name in reachable.get(other, ()))) for name in graph}
    return sorted(list(component) for component in found if len(component) > 1)


def _reachable(start: str, graph: Graph) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - seen
        seen |= new
        waiting += new
    return seen


def read_layers(pyproject: Path) -> list[list[str]]:
    """Return the layers of the import-linter contract from the top down, each a list of packages that are independent."""
    contracts = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (contract,) = [contract for contract in contracts if contract["type"] == "layers"]
    return [[package.strip(" ()") for package in layer.split("|")] for layer in contract["layers"]]


def upward_imports(graph: Graph, layers: list[list[str]]) -> Iterator[tuple[str, str]]:
    """Yield each import of a module in a higher layer, or in another package of the same layer."""
    depths = {package: depth for depth, layer in enumerate(layers) for package in layer}
    for importer, imported in graph.items():
        for other in imported:
            own, theirs = _layer(importer, depths), _layer(other, depths)
            if own and theirs and own != theirs and depths[theirs] <= depths[own]:
                yield importer, other


def _layer(module: str, packages: Iterable[str]) -> str | None:
    return next((package for package in packages if f"{module}.".startswith(f"{package}.")), None)


def main() -> int:
    """Print the offenders and the figures, and return the exit status."""
    parser = argparse.ArgumentParser(description="Measure the structure of the code.")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a figure is beyond its limit")
    check = parser.parse_args().check
    figures, offenders = measure()
    print("\n".join(offenders) if offenders else "no cycles, no upward imports, no long files")
    beyond = [f"{name} is {figures[name]}, the limit is {limit}" for name, limit in LIMITS.items() if figures[name] > limit]
    if check and beyond:
        print("\n".join(beyond))
    print(json.dumps(figures))
    return int(check and bool(beyond))


if __name__ == "__main__":
    sys.exit(main())
