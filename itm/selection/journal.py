"""What a search has done so far, in a file that is written after every experiment. A killed search resumes from it.

The results themselves are the records of fine-tuning. The journal has what these do not tell: when an experiment ended, how
long it took, and how many seconds the searches took in all.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from itm.core.errors import StoreError, cause
from itm.core.selections import SearchBudget, SearchState, Stop, TrainedRung
from itm.store.files import read_json, write_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Journal:
    """The seconds of all searches with the same inputs, the experiments in the order in which they ended, and the answers.

    `left` has, for each model that lost its chance to be the best, the seconds after which it did. `final` is the run (model,
    number of the learning rate, seed) that is trained to its end for the answer: once begun, it is not left for another one.
    `ended` has the budget for which no further experiment is needed, how that search ended, and
    why: the same request gives the same answer.
    """

    seconds: float = 0.0
    experiments: tuple[TrainedRung, ...] = ()
    states: tuple[SearchState, ...] = ()
    left: tuple[tuple[str, float], ...] = ()
    final: tuple[str, int, int] | None = None
    ended: tuple[SearchBudget, Stop, str] | None = None


@dataclass(frozen=True)
class JournalFile:
    """The file of a journal at `path`.

    One with another `key`, that of a question, counts as missing: with other images, candidates or options, a search begins
    with its whole budget. It still finds the runs that are stored.
    """

    path: Path
    key: str

    def read(self) -> Journal:
        """Return what is stored, or an empty journal."""
        try:
            found = read_json(self.path) if self.path.exists() else {}
            return TypeAdapter(Journal).validate_python(found["journal"]) if found.get("key") == self.key else Journal()
        except (StoreError, ValidationError, KeyError, AttributeError) as error:
            log.warning("%s: the journal of the search cannot be read (%s); its budget begins again.", self.path, cause(error))
            return Journal()

    def write(self, journal: Journal) -> None:
        write_json(self.path, {"key": self.key, "journal": asdict(journal)})
