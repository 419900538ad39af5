"""DVC, which only refreshes call: records the versions of what a ranking wrote, as if its stages had been run."""

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
    """Commit the stages of the project around the store, push them where a remote is set, and say what was done.

    Raises
    ------
    StoreError
        If DVC refuses, which leaves the ranking as it is.
    """
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
        told = " ".join((done.stderr or done.stdout).split())[-500:]
        raise StoreError(f"dvc {words[0]} failed in {project}: {told}; the ranking is whole, run `dvc {words[0]}` by hand.")
    return done.stdout
