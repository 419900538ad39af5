"""Fit the parameters of `itm select` on the desk, and write them where the package reads them.

    python -m benchmarks.select_fit [data/desk [itm/prediction/parameters.json]]

All data sets are used: what is reported of the quality comes from `benchmarks/selecting.py`, which leaves one out of each fit.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.select_desk import read_desk
from itm.prediction.fit import fit_curves, fit_prior
from itm.prediction.parameters import COMMITTED, FITTED, Parameters, ProtocolParameters
from itm.store.files import write_text

COMMAND = "python -m benchmarks.select_fit"
DIGITS = 5


def fit(folder: Path) -> Parameters:
    """Fit the parameters of full fine-tuning on the measurements in a folder."""
    desk = read_desk(folder, FITTED)
    prior = fit_prior(desk.measured)
    curves = fit_curves(desk.with_curves, desk.curves, prior)
    models = {final.known.model for final in desk.finals}
    data_sets = {final.data for final in desk.finals}
    own = ProtocolParameters(data_sets=len(data_sets), models=len(models), prior=prior, curves=curves)
    return Parameters(command=COMMAND, protocols={FITTED: own})


def main() -> None:
    """Write the parameters."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("desk", type=Path, nargs="?", default=Path("data/desk"))
    parser.add_argument("output", type=Path, nargs="?", default=COMMITTED)
    options = parser.parse_args()
    found = fit(options.desk)
    write_text(options.output, json.dumps(_rounded(found.model_dump(mode="json")), indent=1) + "\n")
    own = found.protocols[FITTED]
    print(f"{own.models} models, {own.data_sets} data sets: {options.output}")


def _rounded(value: Any) -> Any:
    """Return numbers with five significant digits, so that another machine writes the same file."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(own) for key, own in value.items()}
    return [_rounded(own) for own in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    main()
