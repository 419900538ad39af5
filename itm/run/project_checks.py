"""Checks of a project folder: git, DVC, and the data folders that DVC watches."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from itm.core.errors import ItmError
from itm.core.params import Params
from itm.data.sources.parse import local_path
from itm.run.findings import Finding, note, ok, wrong

STAGES = Path("dvc.yaml")


def check_project(params: Params) -> Iterator[Finding]:
    """Yield the results for the working directory. Rankings outside a DVC project need none of it."""
    if not STAGES.exists():
        yield ok("project", "there is no dvc.yaml here: `itm rank` works, `dvc repro` and `make rank` need a clone")
        return
    yield _git()
    if not Path(".dvc").is_dir():
        yield wrong("dvc.yaml", "it is here, but the folder .dvc is not; run `dvc init`, or clone the repository")
        return
    yield from _data_folders(params)


def _git() -> Finding:
    if not shutil.which("git"):
        return wrong("git", "is not installed, and DVC needs it; install it")
    done = subprocess.run(["git", "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ok("git", f"{done.stdout.strip()} is a clone")
    if "dubious ownership" in done.stderr:
        here = Path.cwd()
        text = f"{here} belongs to another user; run `git config --global --add safe.directory {here}`, or clone it yourself"
        return wrong("git", text)
    return wrong("git", f"{Path.cwd()} is no git clone, and DVC needs one; run `git init`, or clone the repository")


def _data_folders(params: Params) -> Iterator[Finding]:
    """Yield a note for every data folder or index that no stage depends on: `dvc status` does not look at it."""
    try:
        stages = (yaml.safe_load(STAGES.read_text(encoding="utf-8")) or {}).get("stages") or {}
        watched = [Path(path).resolve() for stage in stages.values() for path in _dependencies(stage)]
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        yield wrong("dvc.yaml", f"it cannot be read ({' '.join(str(error).split())}); repair it")
        return
    unwatched = [path for path in _local_paths(params) if not any(path.resolve().is_relative_to(one) for one in watched)]
    for path in unwatched:
        text = f"`dvc status` does not see changes in {path}; add `- {path}` to the deps of the stage ingest in {STAGES}"
        yield note("dvc.yaml", f"{text} (`itm status` sees them)")
    if not unwatched:
        yield ok("dvc.yaml", "every data folder of the parameters is a dependency of a stage")


def _dependencies(stage: Any) -> Iterator[str]:
    for path in (stage or {}).get("deps") or ():
        yield next(iter(path)) if isinstance(path, dict) else str(path)


def _local_paths(params: Params) -> Iterator[Path]:
    for text in params.data.sets:
        try:
            path = local_path(text)
        except ItmError:
            continue  # `itm rank` says what is wrong with it
        if path:
            yield path
