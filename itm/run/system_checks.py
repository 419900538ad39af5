"""Checks of the machine: Prefect's home and server, proxies, shared memory, fonts and threads."""

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from itm.core.proxy import bypass_proxy_for_loopback
from itm.core.secrets import has_password, hide_secrets
from itm.run.findings import Finding, can_be_written, note, ok, wrong

SHARED_MEMORY = Path("/dev/shm")
LEAST_SHARED = 64 * 2**20  # bytes; Docker's default
QUOTA = Path("/sys/fs/cgroup/cpu.max")
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
SAMPLES = {"Chinese and Japanese": "花", "Korean": "꽃", "Arabic": "زهرة", "Hindi": "फूल"}
WITHOUT = "use `--runner inline`"


def check_system() -> Iterator[Finding]:
    """Yield the results for this machine and the environment variables."""
    bypass_proxy_for_loopback()
    yield from _prefect()
    yield _proxy()
    yield from _shared_memory()
    yield _fonts()
    yield _threads()


def _prefect() -> Iterator[Finding]:
    if not find_spec("prefect"):
        return
    if address := os.environ.get("PREFECT_API_URL"):
        has_password(address)  # remembers it, so that no message shows it
        try:
            with urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=5):
                yield ok("prefect server", hide_secrets(f"{address} answers"))
        except (OSError, ValueError, urllib.error.URLError) as error:
            text = (
                f"PREFECT_API_URL names {address}, which does not answer ({error}); start it, unset the variable, or {WITHOUT}"
            )
            yield wrong("prefect server", hide_secrets(text))
        return
    try:
        home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    except RuntimeError:
        yield wrong("prefect home", f"there is no home directory; set HOME or PREFECT_HOME, or {WITHOUT}")
        return
    if not can_be_written(home / "prefect.db"):
        yield wrong("prefect home", f"{home} cannot be written; set PREFECT_HOME to a folder that can be, or {WITHOUT}")
    elif not home.exists():
        yield note("prefect home", f"{home} does not exist yet; the first run makes it")
    else:
        yield ok("prefect home", f"{home} can be written")


def _proxy() -> Finding:
    proxies = {name.upper(): os.environ[name] for name in PROXIES if os.environ.get(name)}
    if not proxies:
        return ok("proxy", "none is set")
    if any(proxy.startswith("socks") for proxy in proxies.values()) and not find_spec("socksio"):
        return wrong("proxy", f"{', '.join(proxies)} name a SOCKS proxy, which needs socksio; run pip install socksio")
    return ok("proxy", f"{', '.join(proxies)} are used for downloads, and never for 127.0.0.1 and localhost")


def _shared_memory() -> Iterator[Finding]:
    if not SHARED_MEMORY.is_dir():
        return  # other systems than Linux
    if not os.access(SHARED_MEMORY, os.W_OK):
        yield wrong("shared memory", f"{SHARED_MEMORY} cannot be written, which processes need; use `runner.kind: threads`")
        return
    free = shutil.disk_usage(SHARED_MEMORY).free
    text = f"{free // 2**20:,} MB are free in {SHARED_MEMORY}"
    if free > LEAST_SHARED:
        yield ok("shared memory", text)
    else:
        yield note(
            "shared memory", f"{text}, too few for worker processes; use threads, or start the container with --shm-size=1g"
        )


def _fonts() -> Finding:
    from itm.report.fonts import letters_without_font  # imports matplotlib

    lacking = [script for script, text in SAMPLES.items() if letters_without_font(text)]
    if not lacking:
        return ok("fonts", f"there are fonts for {', '.join(SAMPLES)}")
    return note("fonts", f"none has letters of {', '.join(lacking)}; names in them are boxes in figures. Install Noto fonts")


def _threads() -> Finding:
    import torch

    threads, cores = torch.get_num_threads(), _cores()
    text = f"{threads} for {cores:g} cores, OMP_WAIT_POLICY={os.environ.get('OMP_WAIT_POLICY', 'unset')}"
    if os.environ.get("OMP_WAIT_POLICY", "").lower() == "active":
        return note("threads", f"{text}; waiting threads spin, which is slow on a busy machine; unset it")
    if threads > max(1.0, cores):
        return note("threads", f"{text}; more threads than cores are slow; set OMP_NUM_THREADS={max(1, int(cores))}")
    return ok("threads", text)


def _cores() -> float:
    """Return how many cores this process may use: a container or a scheduler can allow fewer than the machine has."""
    allowed = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    try:
        quota, period = QUOTA.read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else min(allowed, int(quota) / int(period))
