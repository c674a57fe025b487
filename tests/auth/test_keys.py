"""API keys: enough randomness, a form that tells what went wrong, and only a hash of them kept."""

import hashlib
import re

import pytest

from service.auth.keys import digest, id_in, new_key, verified_key
from service.core.outcome import Rejected
from service.core.redaction import redact
from service.core.roster import KnownKey
from tests.support.registered import KEY, PUBLIC, roster_key, text_of


def test_a_key_has_a_public_id_and_at_least_192_random_bits() -> None:
    made = new_key()
    found = re.fullmatch(r"pbk_([0-9a-z]{12})_([0-9A-Za-z]{34})[0-9a-f]{8}", made.text)
    assert found
    assert found[1] == made.id
    assert 62 ** len(found[2]) > 2**192


def test_no_two_keys_share_an_id_or_a_secret() -> None:
    made = [new_key() for _ in range(200)]
    assert len({one.id for one in made}) == len({one.secret_sha256 for one in made}) == 200


def test_what_is_kept_is_the_sha256_of_the_secret_part_alone() -> None:
    made = new_key()
    assert made.secret_sha256 == hashlib.sha256(made.text[17:].encode()).hexdigest()


def test_a_new_key_is_found_by_what_is_kept_of_it() -> None:
    made = new_key()
    known = KnownKey(made.id, "acme", bytes.fromhex(made.secret_sha256))
    assert verified_key(made.text, {known.secret_sha256: known}) is known


def test_a_key_says_which_it_is_and_never_what_opens_the_door() -> None:
    made = new_key()
    assert repr(made) == f"NewKey({made.id!r})"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        *((text, PUBLIC) for text in (KEY, PUBLIC, f" {KEY}\n", KEY[:-1], KEY[:20], KEY[:17], KEY[:16])),
        (f"pbk_{PUBLIC}_redacted", PUBLIC),
        *((text, None) for text in ("x", "", KEY[:15], KEY[17:], PUBLIC.upper(), f"{PUBLIC}x")),
    ],
)
def test_the_id_is_found_in_what_a_person_copied(text: str, found: str | None) -> None:
    assert id_in(text) == found


@pytest.mark.parametrize("sent", [KEY, text_of("another")], ids=["wrong-secret", "unknown-id"])
def test_an_unknown_id_costs_the_same_comparison_as_a_wrong_secret(sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    with pytest.raises(Rejected) as rejected:
        verified_key(sent, {digest("another"): roster_key(secret_sha256=digest("another"))})
    assert compared == [(32, 32)]
    assert rejected.value.detail == "no such API key"


def test_a_right_secret_under_another_id_is_no_key() -> None:
    other = roster_key(id="another")
    with pytest.raises(Rejected):
        verified_key(KEY, {other.secret_sha256: other})


@pytest.mark.parametrize(
    "sent",
    [
        KEY,
        KEY.upper(),
        KEY.replace("_", "%5F"),
        KEY.replace("_", "%5f", 1),
        KEY.replace("_", "\\u005f"),
        KEY[:30],
        f"{KEY}tail",
    ],
    ids=["as-it-is", "upper-case", "percent-encoded", "half-encoded", "json-escaped", "cut-off", "with-a-tail"],
)
@pytest.mark.parametrize(
    "around",
    ["c=%s&value=1", '{"token": "%s"}', "%s", "a,%s\r\nb,1", "x=%s"],
    ids=["query", "json", "alone", "csv", "last"],
)
def test_whatever_looks_like_a_key_is_redacted_wherever_it_stands(around: str, sent: str) -> None:
    redacted = redact((around % sent).encode())
    assert KEY[17:25].lower() not in redacted.decode().lower()
    assert redacted == (around % f"pbk_{PUBLIC.upper() if sent.isupper() else PUBLIC}_redacted").encode()


SIGNING = "whsec_q/Zt0+VhY1b2c3d4e5f6g7h8i9j0KkLlMmNnOoPpQq8="


@pytest.mark.parametrize(
    "sent",
    [
        SIGNING,
        SIGNING.rstrip("="),
        SIGNING.replace("/", "%2F").replace("+", "%2b").replace("=", "%3D").replace("_", "%5f"),
        SIGNING.replace("/", r"\/").replace("+", r"\u002b").replace("=", r"\u003D").replace("_", r"\u005F"),
    ],
    ids=["as it is", "without its padding", "as URLs may write it", "as JSON may write it"],
)
@pytest.mark.parametrize("around", ["c=%s&value=1", '{"token": "%s"}', "%s", "a,%s\r\nb,1"], ids=range(4))
def test_whatever_looks_like_a_signing_secret_is_redacted(around: str, sent: str) -> None:
    assert redact((around % sent).encode()) == (around % "whsec_redacted").encode()


@pytest.mark.parametrize(
    "sent",
    [
        b"whsec_",
        b"c=whsec_1&value=1",
        b"c=pbk_1&value=1",
        b"pbk_short_x",
        b"c=a&value=1",
        b"",
        b"pbk",
        b"pbk_000000000000",
        b"apbk__x",
    ],
)
def test_what_is_no_key_stays_byte_for_byte(sent: bytes) -> None:
    assert redact(sent) is sent or redact(sent) == sent
