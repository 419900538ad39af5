"""Servers on this machine are never reached through a proxy."""

import os

LOOPBACK = ("127.0.0.1", "localhost")


def bypass_proxy_for_loopback() -> None:
    """Add this machine to NO_PROXY, which httpx, requests and urllib read. Other hosts are reached as before."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host for host in (part.strip() for part in named.split(",")) if host]
    if "*" not in hosts:
        hosts += [host for host in LOOPBACK if host not in hosts]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(hosts)
