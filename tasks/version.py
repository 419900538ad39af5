"""DVC: records the files of a ranking as if its stages had run. Only refreshes call it."""

import subprocess
import sys
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from itm.core.errors import StoreError
from itm.store.layout import Store

STAGES = ("ingest", "rank", "report")


@task(name="version", cache_policy=NO_CACHE, persist_result=False)
def version(store: Store) -> str:
    """Commit the stages of the project around the store, and push them if a remote is set. Return what was done."""
    project = store.root.resolve().parent
    if store.ranking_name is not None or not ((project / "dvc.yaml").is_file() and (project / ".dvc").is_dir()):
        return "not versioned: the store lies in no DVC project"
    _dvc(project, "commit", "--force", *STAGES)
    if not _dvc(project, "config", "core.remote", missing_is_fine=True).strip():
        return "versioned"
    _dvc(project, "push", *STAGES)
    return "versioned and pushed"


def _dvc(project: Path, *words: str, missing_is_fine: bool = False) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=project, capture_output=True, text=True, check=False)
    if done.returncode and not missing_is_fine:
        message = " ".join((done.stderr or done.stdout).split())[-500:]
        raise StoreError(f"dvc {words[0]} failed in {project}: {message}; the ranking is stored, run `dvc {words[0]}` by hand.")
    return done.stdout
