"""Pages of MLflow in a headless Chromium: this module takes the screenshots of the documentation, and a test reads the pages.

``python -m benchmarks.mlflow_pages --data digits`` needs a tracked ranking, as `make rank` makes it, in the current folder.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 1400, 900
PATIENCE = 180  # seconds for the server to start and for a page to load, on a busy machine
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CELL = ".ag-center-cols-container .ag-cell"
BEFORE_METRICS = 800  # pixels; the width of the columns of attributes in the table of models
POINT = ".js-plotly-plot .scatterlayer .point"


@contextmanager
def running_server(folder: Path) -> Iterator[dict[str, str]]:
    """Start `python -m tasks.track.ui` in a folder, and yield the links that it prints, by data set."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"}
    command = [sys.executable, "-m", "tasks.track.ui", "--port", str(port)]
    scratch = TemporaryDirectory()
    printed = Path(scratch.name) / "ui.log"
    with printed.open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/health", printed)
        yield dict(re.findall(r"^  (.+): (http\S+)$", printed.read_text(), re.MULTILINE))
    finally:
        with suppress(ProcessLookupError):  # it ended by itself
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        scratch.cleanup()


def _wait(process: "subprocess.Popen[bytes]", address: str, printed: Path) -> None:
    end = monotonic() + PATIENCE
    while monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended: {printed.read_text()}")
        with suppress(OSError), urlopen(address, timeout=5):
            return
        sleep(0.5)
    raise TimeoutError(f"{address} did not answer in {PATIENCE} s")


@contextmanager
def browser_page(returning: bool = False) -> Iterator[Page]:
    """Yield a page that reaches this machine only. A `returning` user has closed the assistant that MLflow opens at first."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # chromium refuses its sandbox to root
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if root else [])
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        context.route("**/*", lambda route: route.continue_() if "//127.0.0.1:" in route.request.url else route.abort())
        context.set_default_timeout(PATIENCE * 1000)
        if returning:
            context.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
        yield context.new_page()
        browser.close()


def open_charts(page: Page, link: str) -> None:
    """Open the saved view with its charts."""
    _go(page, link)
    page.wait_for_selector(POINT)
    page.wait_for_selector(".parcoords canvas")
    page.wait_for_timeout(2000)  # animations


def open_table(page: Page, link: str) -> None:
    """Open the saved view as a table."""
    _go(page, link.replace("compareRunsMode=CHART&", ""))
    page.wait_for_selector('.ag-cell[col-id^="metrics."]')


def open_models(page: Page, link: str) -> None:
    """Open the logged models, with the columns of metrics in sight."""
    _go(page, re.sub(r"/runs\?.*", "/models?workflowType=machine_learning", link))
    page.wait_for_selector(CELL)
    page.eval_on_selector(".ag-center-cols-viewport", f"table => {{ table.scrollLeft = {BEFORE_METRICS} }}")
    page.wait_for_selector(f"{CELL}[col-id*=metricKey]")


def _go(page: Page, link: str) -> None:
    page.goto("about:blank")  # another fragment of the same page would not be loaded
    page.goto(link)


def _save(page: Page, path: Path) -> None:
    """Write a screenshot with 256 colours, which is a quarter of the bytes."""
    Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(256).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Take the screenshots of the documentation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="digits")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "use")
    wanted = parser.parse_args()
    with running_server(Path.cwd()) as links, browser_page(returning=True) as page:
        link = links[wanted.data]
        open_table(page, link)
        _save(page, wanted.out / "mlflow_table.png")
        open_models(page, link)
        _save(page, wanted.out / "mlflow_models.png")
        page.set_viewport_size({"width": WIDTH, "height": 1330})  # all three charts
        open_charts(page, link)
        _save(page, wanted.out / "mlflow_charts.png")


if __name__ == "__main__":
    main()
