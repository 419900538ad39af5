"""The only code that knows paths and file formats of the store: write beside, check, rename.

A reader therefore sees a whole file or none, and every page of a table carries a checksum, so that it sees no changed one
either. What a killed writer leaves behind carries its process number in its name, and `sweep` removes it once that process is
gone.
"""

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

from itm.core.errors import StoreError
from itm.core.keys import content_key, slug
from itm.store.files import is_abandoned, remove

log = logging.getLogger(__name__)

LONGEST = 150  # letters of a folder's name; file systems take 255, and what is written beside needs some of them


@dataclass(frozen=True)
class Store:
    """Where everything lies: what all rankings share below `root`, what belongs to one of them below `results`.

    Through `shared`, a URL or $NAME of a variable that holds it, stores of several machines exchange files (itm.store.mirror).
    """

    root: Path
    ranking_name: str | None = None
    shared: str | None = None

    @property
    def results(self) -> Path:
        """Return the folder of one ranking: the root itself, or a folder of its own for a ranking with a name."""
        if self.ranking_name is None:
            return self.root
        return self.root / "rankings" / self.ranking_name

    def of_ranking(self, name: str) -> "Store":
        """Return the store of the ranking called `name`, or of the only one whose name begins so.

        Raises
        ------
        StoreError
            If there is none, or more than one.
        """
        folder = self.root / "rankings"
        known = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        found = [one for one in known if one == name] or [one for one in known if one.startswith(name)]
        if len(found) != 1:
            state = f"several rankings begin with {name!r}" if found else f"there is no ranking {name!r}"
            raise StoreError(f"{state}; `itm show` takes one of: {', '.join(found or known) or 'none so far'}.")
        return replace(self, ranking_name=found[0])

    def make_folders(self) -> None:
        """Make the folders that DVC wants to see, also where nothing comes to lie in them."""
        for folder in ("indexes", "raw"):
            try:
                (self.results / folder).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"{self.root}: cannot be written ({error.strerror}); change `store` in params.") from error

    def raw(self, name: str) -> Path:
        """Return the folder of images that this library draws or unpacks itself."""
        return self.results / "raw" / file_name(name)

    def index(self, data: str) -> Path:
        """Return the Parquet index of a data set."""
        return self.results / "indexes" / f"{file_name(data)}.parquet"

    def exchanged(self, data_hash: str) -> Path:
        """Return the folder of what machines that see no images get of a data set: its index and its images."""
        return self.root / "cache" / "data" / data_hash

    def features(self, data: str, model: str, key: str) -> Path:
        """Return the feature file of a (model, data) pair with this content key."""
        return self.root / "cache" / "features" / file_name(data) / f"{file_name(model)}-{key[:16]}.parquet"

    def score(self, data: str, model: str, score: str, key: str) -> Path:
        """Return the file of one score on one pair with this content key."""
        return self.root / "cache" / "scores" / file_name(data) / file_name(model) / f"{file_name(score)}-{key[:16]}.json"

    @property
    def hashes(self) -> Path:
        """Return the record of what weight files hash to."""
        return self.root / "cache" / "hashes.json"

    def finetuning(self, data: str, model: str, run: str, key: str) -> Path:
        """Return the file of one fine-tuning run of a pair with this content key."""
        return self.root / "cache" / "finetuned" / file_name(data) / file_name(model) / f"{file_name(run)}-{key[:16]}.json"

    @property
    def finetuned(self) -> Path:
        """Return the table of all fine-tuning runs and failures."""
        return self.results / "finetuned" / "runs.parquet"

    @property
    def confirmed(self) -> Path:
        """Return the record of what fine-tuning the first of a ranking came to."""
        return self.results / "scores" / "confirmed.json"

    @property
    def scores(self) -> Path:
        """Return the long table of all scores and failures."""
        return self.results / "scores" / "scores.parquet"

    @property
    def ranking(self) -> Path:
        """Return the ranking record."""
        return self.results / "scores" / "ranking.json"

    @property
    def recommended(self) -> Path:
        """Return the record of which model is recommended for each data set."""
        return self.results / "recommended.json"

    @property
    def tracked(self) -> Path:
        """Return the record of what the tracker was told."""
        return self.results / "tracked.json"

    def refresh(self, number: int) -> Path:
        """Return the folder of one refresh: its record, its page and its log."""
        return self.results / "refreshes" / f"{number:06d}"

    @property
    def evaluation(self) -> Path:
        """Return the folder of what scores were judged to be worth; it belongs to no ranking."""
        return self.root / "evaluation"

    @property
    def reports(self) -> Path:
        """Return the folder of the page and its figures."""
        return self.results / "reports"

    def sweep(self) -> int:
        """Remove what killed writers of this host left half-written, and return how many there were."""
        left: list[Path] = []
        for where, folders, files in os.walk(self.root):  # passes over folders that others rename meanwhile
            left += [Path(where, name) for name in (*folders, *files) if is_abandoned(name)]
            folders[:] = [name for name in folders if not name.startswith(".tmp-")]
        for path in left:
            log.warning("removing %s, left half-written by a process that is gone", path)
            remove(path)
        return len(left)


def file_name(name: str) -> str:
    """Return a name's slug, the end of a long one replaced by a hash of it."""
    whole = slug(name)
    return whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}~{content_key(whole)[:16]}"
