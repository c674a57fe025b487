"""The way to an issuer's keys: where its metadata is, when it is asked again, and whose metadata is not believed."""

import json

import pytest

from service.auth.oauth.discovery import CannotRead, KeySource, metadata_urls
from tests.support.fakes import LoopClock
from tests.support.issuers import Documents, loop_time
from tests.support.tokens import ISSUER

pytestmark = pytest.mark.anyio

HOUR = 3600
KEYS_URL = "https://issuer.example/keys"
AWAY = CannotRead("the issuer is away")
OAUTH = "https://issuer.example/.well-known/oauth-authorization-server/tenant"
OPENID = "https://issuer.example/tenant/.well-known/openid-configuration"


def metadata(**changes: object) -> bytes:
    """Return the metadata of the issuer."""
    return json.dumps({"issuer": ISSUER.url, "jwks_uri": KEYS_URL, **changes}).encode()


@pytest.mark.parametrize(
    ("issuer", "places"),
    [
        (ISSUER.url, [OAUTH, OPENID]),
        (ISSUER.url + "/", [OAUTH, OPENID]),
        (
            "https://issuer.example:8443",
            [
                "https://issuer.example:8443/.well-known/oauth-authorization-server",
                "https://issuer.example:8443/.well-known/openid-configuration",
            ],
        ),
    ],
    ids=["with_a_path", "with_a_slash", "without_a_path"],
)
def test_metadata_is_where_the_standards_put_it(issuer: str, places: list[str]) -> None:
    assert list(metadata_urls(issuer)) == places


async def source(**documents: bytes | Exception) -> tuple[KeySource, Documents]:
    """Return the way to the keys of an issuer with these documents."""
    fetch = Documents(**documents)
    return KeySource(ISSUER, fetch, loop_time), fetch


@pytest.mark.parametrize("place", [OAUTH, OPENID], ids=["oauth", "openid"])
async def test_either_metadata_leads_to_the_keys_and_is_read_once(place: str) -> None:
    keys, fetch = await source(**{place: metadata(), KEYS_URL: b"keys"})
    assert [await keys.read(), await keys.read()] == [b"keys", b"keys"]
    assert fetch.asked.count(KEYS_URL) == 2
    assert fetch.asked.count(place) == 1


async def test_where_the_keys_are_is_asked_again_after_a_failure_and_every_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys, fetch = await source(**{OAUTH: metadata(), KEYS_URL: b"keys"})
    clock = LoopClock(monkeypatch)
    await keys.read()
    fetch.by_url[OAUTH] = metadata(jwks_uri=KEYS_URL + "/moved")
    fetch.by_url[KEYS_URL + "/moved"] = b"moved"
    clock.move(HOUR)
    assert await keys.read() == b"moved"
    fetch.by_url |= {OAUTH: metadata(), KEYS_URL + "/moved": AWAY}
    with pytest.raises(CannotRead, match="away"):
        await keys.read()
    assert await keys.read() == b"keys"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "no JSON object"),
        (b"\xff", "not JSON"),
        (metadata(issuer="https://other.example"), "is of issuer 'https://other.example'"),
        (metadata(issuer=ISSUER.url + "/"), "is of issuer"),
        (metadata(issuer=None), "is of issuer"),
        (metadata(jwks_uri=None), "jwks_uri cannot be used"),
        (metadata(jwks_uri="http://issuer.example/keys"), "jwks_uri cannot be used"),
        (metadata(jwks_uri="file:///etc/passwd"), "jwks_uri cannot be used"),
        (metadata(jwks_uri="http://127.0.0.1:8001/metrics"), "less safe"),
    ],
    ids=["html", "list", "bytes", "another", "slash", "nameless", "nowhere", "http", "file", "this_machine"],
)
async def test_metadata_that_is_not_the_issuers_leads_nowhere(document: bytes, reason: str) -> None:
    keys, _ = await source(**{OAUTH: document, KEYS_URL: b"keys"})
    with pytest.raises(CannotRead, match=reason):
        await keys.read()
