"""An issuer's URL: keys come by https, or from this machine, and from nowhere else."""

import pytest

from service.auth.oauth.issuer import checked_url


@pytest.mark.parametrize(
    "url", ["https://issuer.example", "https://issuer.example:8443/realms/a/", "http://127.0.0.1:1", "http://[::1]/a"]
)
def test_keys_may_come_by_https_or_from_this_machine(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "issuer.example",
        "http://issuer.example",
        "http://127.0.0.1.example",
        "http://0.0.0.0",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://",
        "https://user:secret@issuer.example",
        "https://issuer.example?a=1",
        "https://issuer.example#a",
        "https://issuer.example:0",
        "https://issuer.example:port",
        "https://issuer.example/\u00e9",
        "https://issuer.example/ a",
        "https://issuer.example/\x07",
        "https://issuer.example/\n",
        "https://[::1",
    ],
)
def test_keys_come_from_nowhere_else(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        checked_url(url)
