"""Paths of the store. No other code builds them."""

import glob
import logging
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from itm.core.errors import StoreError
from itm.core.keys import content_key, slug
from itm.store.files import is_abandoned, remove, scratch_file, write_error

log = logging.getLogger(__name__)

LONGEST = 150  # characters of a file name; file systems allow 255, and prefixes and suffixes are added


@dataclass(frozen=True)
class Store:
    """The folder with all files of the library.

    Attributes
    ----------
    root
        Files that all rankings share.
    ranking_name
        Name of a ranking with its own folder, `results`. None is the ranking of params.yaml.
    shared
        URL of the folder in which machines share files, or ``$NAME`` of a variable with the URL (see `itm.store.mirror`).
    """

    root: Path
    ranking_name: str | None = None
    shared: str | None = None

    @property
    def results(self) -> Path:
        """Return the folder of the ranking, which is `root` if it has no name."""
        if self.ranking_name is None:
            return self.root
        return self.trials / self.ranking_name

    @property
    def trials(self) -> Path:
        """Return the folder of all rankings with a name."""
        return self.root / "rankings"

    def for_ranking(self, name: str) -> "Store":
        """Return the store of the ranking `name`. The beginning of the name is enough if it is unique.

        Raises
        ------
        StoreError
            If no ranking or several rankings match.
        """
        folders = {path.name: replace(self, ranking_name=path.name) for path in sorted(self.trials.glob("*/"))}
        known = [other for other, store in folders.items() if store.ranking.exists()]
        matches = [other for other in known if other == name] or [other for other in known if name and other.startswith(name)]
        if len(matches) == 1:
            return folders[matches[0]]
        if name in folders:
            raise StoreError(f"{folders[name].results} holds no ranking; repeat the command that made it.")
        state = f"several rankings begin with {name!r}" if matches else f"there is no ranking {name!r}"
        raise StoreError(f"{state}; `itm rankings` lists them: {', '.join(matches or known) or 'none so far'}.")

    def make_folders(self) -> None:
        """Create the output folders of the DVC stages, which requires them even if they stay empty.

        Raises
        ------
        StoreError
            If one of them or of the other folders cannot be written. Otherwise a long run would find out at its end.
        """
        others = self.root / "cache", self.ranking.parent, self.reports
        for folder in (self.results / "indexes", self.results / "raw", *others):
            if folder not in others:
                with suppress(OSError):  # found by the check
                    folder.mkdir(parents=True, exist_ok=True)
            check_writable(folder)

    def raw(self, name: str) -> Path:
        """Return the folder of images that the library generates or unpacks."""
        return self.results / "raw" / file_name(name)

    @property
    def unpacked(self) -> Path:
        """Return the folder of tar files with images that cannot be read where they are."""
        return self.root / "unpacked"  # not in `cache`, which `dvc exp run` copies

    def index(self, data: str) -> Path:
        return self.results / "indexes" / f"{file_name(data)}.parquet"

    def shared_data(self, data_hash: str) -> Path:
        """Return the folder with the index and images of a data set, for machines that cannot read its source."""
        return self.root / "cache" / "data" / data_hash

    def features(self, data: str, model: str, key: str) -> Path:
        """Return the feature file of a (model, data) pair with this content key."""
        return self.root / "cache" / "features" / file_name(data) / f"{file_name(model)}-{key[:16]}.parquet"

    def same_features(self, data: str, model: str, key: str) -> list[Path]:
        """Return the feature files with this content key of data sets with other names: their images are the same."""
        own = self.features(data, model, key)
        return sorted(path for path in own.parent.parent.glob(f"*/{glob.escape(own.name)}") if path != own)

    def score(self, data: str, model: str, score: str, key: str) -> Path:
        """Return the file of one score on one pair with this content key."""
        return self.root / "cache" / "scores" / file_name(data) / file_name(model) / f"{file_name(score)}-{key[:16]}.json"

    def facts(self, model: str, key: str) -> Path:
        """Return the file of the facts of a model with this content key."""
        return self.root / "cache" / "facts" / f"{file_name(model)}-{key[:16]}.json"

    def speed(self, architecture: str, key: str) -> Path:
        """Return the file of the speed of an architecture with this content key."""
        return self.root / "cache" / "speeds" / f"{file_name(architecture)}-{key[:16]}.json"

    def image_hashes(self, data: str) -> Path:
        """Return the hashes of the images of a data set."""
        return self.root / "cache" / "images" / f"{file_name(data)}.parquet"

    @property
    def decoded(self) -> Path:
        """Return the folder of decoded images."""
        return self.root / "decoded"  # not in `cache`, which `dvc exp run` copies

    @property
    def hashes(self) -> Path:
        """Return the cache of weight file hashes."""
        return self.root / "cache" / "hashes.json"

    def finetuning(self, data: str, model: str, run: str, key: str) -> Path:
        """Return the file of one fine-tuning run of a pair with this content key."""
        return self.root / "cache" / "finetuned" / file_name(data) / file_name(model) / f"{file_name(run)}-{key[:16]}.json"

    def rungs(self, data: str, model: str) -> Path:
        """Return the folder with the records of what is known of the fine-tuning runs of a pair."""
        return self.root / "cache" / "rungs" / file_name(data) / file_name(model)

    def finetuning_start(self, data: str, model: str, seed: int, key: str) -> Path:
        """Return the file of the head that fine-tuning of a pair starts from, with this content key."""
        return self.root / "cache" / "starts" / file_name(data) / file_name(model) / f"{seed}-{key[:16]}.safetensors"

    def finetuning_states(self, data: str, model: str) -> Path:
        """Return the folder of the states of fine-tuning runs of a pair that are not finished."""
        return self.root / "states" / file_name(data) / file_name(model)  # not in `cache`, which `dvc exp run` copies

    def finetuned_weights(self, data: str, model: str, key: str) -> Path:
        """Return the file of the fine-tuned weights of a pair with this content key."""
        name = f"{file_name(model)}-{key[:16]}.safetensors"
        return self.root / "weights" / file_name(data) / name  # not in `cache`, which `dvc exp run` copies

    @property
    def finetuned(self) -> Path:
        """Return the table of all fine-tuning runs and failures."""
        return self.results / "finetuned" / "runs.parquet"

    @property
    def confirmed(self) -> Path:
        """Return the record of the fine-tuned first models of a ranking."""
        return self.results / "finetuned" / "confirmed.json"  # not in `scores`, which DVC empties before it ranks again

    @property
    def selection(self) -> Path:
        """Return the record of the selected models of a ranking."""
        return self.results / "selected" / "selection.json"  # not in `scores`, which DVC empties before it ranks again

    def search_journal(self, data: str) -> Path:
        """Return the record of what the search on a data set has done so far."""
        return self.results / "selected" / f"{file_name(data)}.journal.json"

    @property
    def scores(self) -> Path:
        """Return the long table of all scores and failures."""
        return self.results / "scores" / "scores.parquet"

    def example_masks(self, data: str) -> Path:
        """Return the picture of masks that the first models of a ranking predict."""
        return self.results / "scores" / f"{file_name(data)}.masks.png"

    @property
    def ranking(self) -> Path:
        return self.results / "scores" / "ranking.json"

    @property
    def recommended(self) -> Path:
        """Return the record of the recommended model per data set."""
        return self.results / "recommended.json"

    @property
    def tracked(self) -> Path:
        """Return the record of what MLflow has logged."""
        return self.results / "tracked.json"

    def current_record(self, command: str) -> Path:
        """Return the record of what the ranking of a command depends on."""
        return self.results / f"{command}.current.json"

    def refresh(self, number: int) -> Path:
        """Return the folder with the record, page and log of one refresh."""
        return self.results / "refreshes" / f"{number:06d}"

    @property
    def evaluation(self) -> Path:
        """Return the folder of `itm evaluate`. All rankings share it."""
        return self.root / "evaluation"

    @property
    def reports(self) -> Path:
        """Return the folder of the ranking page."""
        return self.results / "reports"

    def remove_abandoned(self) -> int:
        """Remove temporary files of processes of this host that no longer run. Return their number."""
        abandoned: list[Path] = []
        for where, folders, files in os.walk(self.root):  # tolerates folders that disappear meanwhile
            abandoned += [path for name in (*folders, *files) if is_abandoned(path := Path(where, name))]
            folders[:] = [name for name in folders if not name.startswith(".tmp-")]
        for path in abandoned:
            log.warning("removing %s, an incomplete file of a process that has ended", path)
            remove(path)
        return len(abandoned)


def check_writable(folder: Path) -> None:
    """Check that files can be created in a folder. If it does not exist, those around it count.

    Raises
    ------
    StoreError
        If they cannot.
    """
    existing = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    try:
        with scratch_file(existing):
            pass
    except OSError as error:
        raise write_error(folder, error) from error


def file_name(name: str) -> str:
    """Return the slug of `name`. The end of a long slug is replaced by its hash."""
    whole = slug(name)
    return whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}~{content_key(whole)[:16]}"
