"""A JWK Set: which published keys can verify tokens, and which are left out."""

import json

import pytest
from hypothesis import given
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from service.auth.oauth.jwks import MOST_KEYS, matching_key, read_keys
from tests.support.tokens import (
    EC,
    ED,
    GONE,
    JSON_VALUES,
    RSA,
    encoded,
    key_set,
)


def test_without_a_name_two_keys_are_one_too_many() -> None:
    keys = read_keys(key_set(RSA, RSAKey.generate_key(2048, {"kid": "next"})))
    assert matching_key(keys, None, "RS256") is None
    assert matching_key(keys, "next", "RS256") is keys[1]


def jwk(key: RSAKey | ECKey | OKPKey | OctKey, *, private: bool = False, **changes: object) -> dict[str, object]:
    """Return a JWK with some members changed, or left out."""
    members = {**key.as_dict(private=private), **changes}
    return {name: value for name, value in members.items() if value != GONE}


USABLE: dict[str, dict[str, object]] = {
    "as_it_is": jwk(RSA),
    "for_signatures": jwk(RSA, use="sig", alg="RS256", key_ops=["verify"]),
    "without_kid": jwk(EC, kid=GONE),
    "with_what_others_add": jwk(RSA, x5c="no list", x5t=1, issuer="https://login.example/{tenantid}"),
}

UNUSABLE: dict[str, object] = {
    "encryption": jwk(RSA, use="enc"),
    "another_algorithm": jwk(RSA, alg="PS256"),
    "signing_only": jwk(RSA, key_ops=["sign"]),
    "operations_no_list": jwk(RSA, key_ops="verify"),
    "secret": jwk(OctKey.generate_key(256), private=True),
    "private_key": jwk(RSA, private=True),
    "another_curve": jwk(ECKey.generate_key("P-384")),
    "key_agreement": jwk(OKPKey.generate_key("X25519")),
    "post_quantum": {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA"},
    "point_off_the_curve": jwk(EC, x=jwk(EC)["y"]),
    "coordinate_too_short": jwk(ED, x="AAAA"),
    "modulus_absent": jwk(RSA, n=GONE),
    "modulus_no_text": jwk(RSA, n=7),
    "modulus_no_base64": jwk(RSA, n="?" * 342),
    "modulus_of_1024_bits": jwk(RSA, n=encoded(b"\xff" * 128)),
    "modulus_of_a_million_bits": jwk(RSA, n=encoded(b"\xff" * 125_000)),
    "exponent_1": jwk(RSA, e="AQ"),
    "kid_no_text": jwk(RSA, kid=5),
    "kty_no_text": jwk(RSA, kty=["RSA"]),
    "no_object": "key",
}


@pytest.mark.parametrize("key", USABLE.values(), ids=USABLE)
def test_a_key_is_usable(key: object) -> None:
    assert len(read_keys(json.dumps({"keys": [key]}).encode())) == 1


@pytest.mark.parametrize("key", UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_of_no_use_is_left_out_and_spoils_no_other(key: object) -> None:
    (read,) = read_keys(json.dumps({"keys": [key, jwk(EC)]}).encode())
    assert read.kid == "ec"


@pytest.mark.filterwarnings("ignore:Key size should be")
def test_a_short_key_is_not_made_longer_by_zeros() -> None:
    padded = jwk(RSA, n=encoded(bytes(128) + b"\xff" * 128))
    assert read_keys(json.dumps({"keys": [padded]}).encode()) == ()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>",
        b"\xff",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": null}',
        b"[" * 100_000,
        json.dumps({"keys": [jwk(EC)] * (MOST_KEYS + 1)}).encode(),
    ],
    ids=["empty", "html", "not_utf_8", "list", "no_keys", "object", "null", "nested", "too_many"],
)
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|JWK Set"):
        read_keys(document)


@given(JSON_VALUES)
def test_key_sets_of_any_shape_are_read_or_refused(members: object) -> None:
    for document in (members, {"keys": members}, {"keys": [members]}, {"keys": [{**jwk(EC), "x": members}]}):
        try:
            read_keys(json.dumps(document).encode())
        except ValueError:
            continue
