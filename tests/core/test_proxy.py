import urllib.request

import httpx
import pytest
from requests.utils import should_bypass_proxies

from itm.core.proxy import bypass_proxy_for_loopback

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("named", [None, "", "corp.example", "corp.example, localhost", "*"])
def test_loopback_is_never_reached_through_a_proxy(monkeypatch, variable, named):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:8080")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")  # so that both are given back
        monkeypatch.delenv(name)
    if named is not None:
        monkeypatch.setenv(variable, named)
    bypass_proxy_for_loopback()
    bypass_proxy_for_loopback()
    for host in ("127.0.0.1", "localhost"):
        assert urllib.request.proxy_bypass(host)
        assert should_bypass_proxies(f"http://{host}:4200/api", no_proxy=None)
        assert not is_proxied(f"http://{host}:4200/api")
    assert is_proxied("http://weights.example/file") == (named != "*")
    assert is_proxied("http://corp.example/file") == (not named)


def is_proxied(url: str) -> bool:
    with httpx.Client() as client:
        transport = client._transport_for_url(httpx.URL(url))
        return transport is not client._transport
