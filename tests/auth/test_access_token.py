"""Bearer tokens: what a valid one may look like, and each way in which one is none."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey

from service.auth.oauth.access_token import MOST_CHARACTERS, SKEW_SECONDS, Grant, read_token, verify
from service.auth.oauth.issuer import Issuer
from service.auth.oauth.jwks import read_keys
from service.core.outcome import Outcome, Rejected
from tests.support import tokens
from tests.support.tokens import (
    EC,
    ED,
    GONE,
    ISSUER,
    JSON_VALUES,
    NOW,
    RSA,
    STRANGER,
    TIME,
    encoded,
    key_set,
    signed,
    token,
    token_of,
)

KEYS = read_keys(key_set(RSA, EC, ED))

PUBLIC_PEM = RSA.as_pem(private=False)

PUBLIC_JWK = {name: value for name, value in STRANGER.as_dict().items() if name != "kid"}

CLAIMS = json.dumps(dict(tokens.CLAIMS)).encode()

HEADER = json.dumps(tokens.HEADER).encode()


def judged(text: str, issuer: Issuer = ISSUER) -> Grant:
    """Return what a token grants, with the issuer's three keys."""
    return verify(read_token(text), KEYS, issuer, NOW)


def confused(secret: bytes) -> str:
    """Return a token that is signed with HS256, the secret being something public."""
    text = f"{encoded(json.dumps({'alg': 'HS256', 'kid': 'rsa', 'typ': 'JWT'}).encode())}.{encoded(CLAIMS)}"
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def unsigned(algorithm: str) -> str:
    """Return a token without a signature: its third part is empty."""
    return f"{encoded(json.dumps({'alg': algorithm, 'typ': 'JWT'}).encode())}.{encoded(CLAIMS)}."


def with_wrong(part: int) -> str:
    """Return a valid token with one character changed in one of its parts."""
    parts = token().split(".")
    parts[part] = parts[part][:20] + ("A" if parts[part][20] != "A" else "B") + parts[part][21:]
    return ".".join(parts)


VALID = {
    "rs256": token(),
    "es256": token(key=EC, algorithm="ES256"),
    "eddsa": token(key=ED, algorithm="EdDSA"),
    "typ_jwt": token(header={"typ": "JWT"}),
    "typ_in_lower_case": token(header={"typ": "jwt"}),
    "typ_absent": token(header={"typ": GONE}),
    "typ_as_a_whole_media_type": token(header={"typ": "application/at+JWT"}),
    "kid_absent_and_one_key_fits": token(header={"kid": GONE}),
    "unknown_header_is_ignored": token(header={"x5t": "abc", "vendor": {"a": 1}}),
    "audience_among_others": token(aud=["https://other.example", ISSUER.audience]),
    "scope_among_others": token(scope="openid postback email"),
    "scope_as_a_list": token(scope=["openid", "postback"]),
    "scope_in_scp": token(scope=GONE, scp="postback other"),
    "scope_in_a_list_scp": token(scope=GONE, scp=["postback"]),
    "scope_in_roles": token(scope=GONE, roles=["postback"]),
    "exp_within_the_skew": token(exp=TIME - SKEW_SECONDS + 1),
    "exp_with_a_fraction": token(exp=TIME + 1.5),
    "exp_far_away": token(exp=10**30),
    "nbf_within_the_skew": token(nbf=TIME + SKEW_SECONDS),
    "nbf_now": token(nbf=TIME),
    "iat_in_the_future_is_not_asked_for": token(iat=TIME + 9999),
    "keycloak_says_bearer": token(header={"typ": "JWT"}, typ="Bearer"),
    "cognito_says_access": token(header={"typ": GONE}, token_use="access"),
}


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_a_valid_token_says_who_sends(text: str) -> None:
    assert judged(text).sender == "ezmob"


# What is wrong, a token with exactly that wrong, and a part of the reason that is given.
INVALID = {
    "empty": ("", "compact form"),
    "one_part": ("abc", "compact form"),
    "two_parts": ("abc.def", "compact form"),
    "five_parts_as_if_encrypted": ("a.b.c.d.e", "compact form"),
    "json_serialization": (json.dumps({"payload": "e30", "signatures": []}), "compact form"),
    "a_space_before": (" " + token(), "compact form"),
    "a_line_break_behind": (token() + "\n", "compact form"),
    "not_ascii": (token() + "\u00e9", "compact form"),
    "a_lone_surrogate": (token() + "\ud800", "compact form"),
    "base64_with_padding": (f"{encoded(HEADER)}=.{encoded(CLAIMS)}.AAAA", "compact form"),
    "base64_with_loose_last_bits": (token()[:-1] + "_", "base64url"),
    "base64_of_impossible_length": (f"AAAAA.{encoded(CLAIMS)}.AAAA", "base64url"),
    "oversize": (token(note="x" * MOST_CHARACTERS), "longer than"),
    "header_no_json": (signed(b"alg=RS256", CLAIMS), "header is not JSON"),
    "header_no_object": (signed(b'["alg"]', CLAIMS), "no JSON object"),
    "header_name_twice": (signed(b'{"alg":"none","alg":"RS256","kid":"rsa"}', CLAIMS), "header is not JSON"),
    "header_in_utf_16": (signed(HEADER.decode().encode("utf-16-le"), CLAIMS), "header is not JSON"),
    "header_with_a_byte_order_mark": (signed(b"\xef\xbb\xbf" + HEADER, CLAIMS), "header is not JSON"),
    "header_nested_deeply": (signed(b"[" * 2000 + b"]" * 2000, CLAIMS), "header is not JSON"),
    "payload_no_json": (signed(HEADER, b"nobody"), "payload is not JSON"),
    "payload_no_object": (signed(HEADER, b'"ezmob"'), "no JSON object"),
    "payload_name_twice": (signed(HEADER, CLAIMS[:-1] + b', "client_id": "other"}'), "payload is not JSON"),
    "payload_nested_deeply": (signed(HEADER, b"[" * 5000), "payload is not JSON"),
    "payload_a_number_of_many_digits": (signed(HEADER, b'{"exp": ' + b"9" * 5000 + b"}"), "payload is not JSON"),
    "nested_token": (signed(HEADER, token().encode()), "payload is not JSON"),
    "nested_token_announced": (token(header={"cty": "JWT"}), "cty"),
    "alg_none": (unsigned("none"), "compact form"),
    "alg_none_with_a_signature": (unsigned("none") + "AAAA", "not signed with"),
    "alg_none_in_capitals": (unsigned("NONE") + "AAAA", "not signed with"),
    "alg_absent": (token(header={"alg": GONE}), "not signed with"),
    "alg_no_text": (token(header={"alg": ["RS256"]}), "not signed with"),
    "alg_empty": (token(header={"alg": ""}), "not signed with"),
    "rs256_without_a_signature": (unsigned("RS256"), "compact form"),
    "hs256_with_the_public_key_as_pem": (confused(PUBLIC_PEM), "not signed with"),
    "hs256_with_the_public_key_as_json": (confused(json.dumps(RSA.as_dict()).encode()), "not signed with"),
    "hs256_with_an_empty_secret": (confused(b""), "not signed with"),
    "rs512": (token(algorithm="RS512"), "not signed with"),
    "ps256": (token(algorithm="PS256"), "not signed with"),
    "es384": (token(key=ECKey.generate_key("P-384", {"kid": "ec"}), algorithm="ES384"), "not signed with"),
    "ed448_called_eddsa": (token(key=OKPKey.generate_key("Ed448", {"kid": "ed"}), algorithm="EdDSA"), "signature"),
    "rs256_with_the_kid_of_the_ec_key": (token(header={"kid": "ec"}), "names no key"),
    "es256_called_rs256": (token(key=EC, algorithm="ES256", header={"alg": "RS256", "kid": "rsa"}), "signature"),
    "rs256_called_es256": (token(header={"alg": "ES256", "kid": "ec"}), "signature"),
    "key_of_a_stranger": (token(key=STRANGER), "signature"),
    "signature_changed": (with_wrong(2), "signature is wrong"),
    "claims_changed": (with_wrong(1), "signature is wrong"),
    "signature_of_zeros": (f"{encoded(HEADER)}.{encoded(CLAIMS)}.{encoded(bytes(256))}", "signature is wrong"),
    "ecdsa_of_zeros": (
        ".".join([*token(key=EC, algorithm="ES256").split(".")[:2], encoded(bytes(64))]),
        "signature is wrong",
    ),
    "ecdsa_in_der": (
        ".".join([*token(key=EC, algorithm="ES256").split(".")[:2], encoded(b"\x30\x06\x02\x01\x01\x02\x01\x01")]),
        "signature is wrong",
    ),
    "jwk_brings_its_own_key": (token(key=STRANGER, header={"jwk": PUBLIC_JWK}), "jwk"),
    "jku_names_another_place": (token(key=STRANGER, header={"jku": "https://evil.example/keys"}), "jku"),
    "x5u_names_another_place": (token(key=STRANGER, header={"x5u": "https://evil.example/chain"}), "x5u"),
    "x5c_brings_a_certificate": (token(key=STRANGER, header={"x5c": ["MIIB"]}), "x5c"),
    "crit": (token(header={"crit": ["exp"], "exp": TIME + 300}), "crit"),
    "crit_empty": (token(header={"crit": []}), "crit"),
    "crit_no_list": (token(header={"crit": 5}), "crit"),
    "b64_false": (token(header={"b64": False}), "b64"),
    "zip": (token(header={"zip": "DEF"}), "zip"),
    "kid_unknown": (token(header={"kid": "other"}), "names no key"),
    "kid_in_another_case": (token(header={"kid": "RSA"}), "names no key"),
    "kid_a_path": (token(header={"kid": "../../../../dev/null"}), "names no key"),
    "kid_a_query": (token(header={"kid": "rsa' OR '1'='1"}), "names no key"),
    "kid_a_url": (token(header={"kid": "https://evil.example/key"}), "names no key"),
    "kid_empty": (token(header={"kid": ""}), "names no key"),
    "kid_no_text": (token(header={"kid": 7}), "kid"),
    "kid_of_great_length": (token(header={"kid": "k" * 257}), "kid"),
    "typ_of_an_id_token": (token(header={"typ": "id+jwt"}), "typ"),
    "typ_of_a_logout_token": (token(header={"typ": "logout+jwt"}), "typ"),
    "typ_of_a_dpop_proof": (token(header={"typ": "dpop+jwt"}), "typ"),
    "typ_no_text": (token(header={"typ": 1}), "typ"),
    "id_token_with_nonce": (token(header={"typ": "JWT"}, nonce="n"), "no access token"),
    "id_token_with_at_hash": (token(header={"typ": GONE}, at_hash="h"), "no access token"),
    "id_token_of_keycloak": (token(header={"typ": "JWT"}, typ="ID"), "no access token"),
    "refresh_token_of_keycloak": (token(header={"typ": "JWT"}, typ="Refresh"), "no access token"),
    "id_token_of_cognito": (token(header={"typ": "JWT"}, token_use="id"), "no access token"),
    "bound_to_a_dpop_key": (token(cnf={"jkt": "thumbprint"}), "bound to a key"),
    "bound_to_a_certificate": (token(cnf={"x5t#S256": "thumbprint"}), "bound to a key"),
    "issuer_absent": (token(iss=GONE), "another issuer"),
    "issuer_another": (token(iss="https://issuer.example/other"), "another issuer"),
    "issuer_with_a_slash_more": (token(iss=ISSUER.url + "/"), "another issuer"),
    "issuer_a_list": (token(iss=[ISSUER.url]), "another issuer"),
    "audience_absent": (token(aud=GONE), "another audience"),
    "audience_another": (token(aud="https://other.example"), "another audience"),
    "audience_that_contains_ours": (token(aud=ISSUER.audience + ".evil.example"), "another audience"),
    "audience_of_no_text": (token(aud=[None, 1, {}]), "another audience"),
    "audience_empty": (token(aud=[]), "another audience"),
    "exp_absent": (token(exp=GONE), "no exp"),
    "exp_null": (token(exp=None), "no exp"),
    "exp_past_the_skew": (token(exp=TIME - SKEW_SECONDS), "expired"),
    "exp_text": (token(exp=str(TIME + 300)), "exp is no number"),
    "exp_true": (token(exp=True), "exp is no number"),
    "exp_nan": (token(exp=float("nan")), "payload is not JSON"),
    "exp_infinite": (token(exp=float("inf")), "payload is not JSON"),
    "exp_a_float_beyond_all": (signed(HEADER, CLAIMS[:-1] + b', "nbf": 1e999}'), "nbf is no number"),
    "nbf_past_the_skew": (token(nbf=TIME + SKEW_SECONDS + 1), "not valid yet"),
    "nbf_text": (token(nbf="soon"), "nbf is no number"),
    "sender_absent": (token(client_id=GONE, sub=GONE), "names no sender"),
    "sender_empty": (token(client_id=""), "names no sender"),
    "sender_no_text": (token(client_id=7), "names no sender"),
    "sender_with_a_line_break": (token(client_id="ez\nmob"), "names no sender"),
    "sender_with_a_lone_surrogate": (token(client_id="\ud800"), "names no sender"),
    "sender_of_great_length": (token(client_id="e" * 256), "names no sender"),
}


@pytest.mark.parametrize(("text", "reason"), INVALID.values(), ids=INVALID)
def test_an_invalid_token_is_unauthenticated_and_the_reason_repeats_nothing_of_it(text: str, reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        judged(text)
    assert rejected.value.outcome is Outcome.UNAUTHENTICATED
    assert reason in rejected.value.detail
    assert not [part for part in text.split(".") if len(part) > 3 and part in rejected.value.detail]


@pytest.mark.parametrize(
    "scope",
    [GONE, "", "postbacks", "POSTBACK", "post back", {"postback": True}, ["openid"], 1, [["postback"]]],
    ids=str,
)
def test_a_genuine_token_without_the_scope_is_forbidden(scope: object) -> None:
    with pytest.raises(Rejected) as rejected:
        judged(token(scope=scope))
    assert rejected.value.outcome is Outcome.FORBIDDEN
    assert rejected.value.detail == "the token lacks the scope postback"


@pytest.mark.parametrize(
    ("claims", "sender"),
    [
        ({"client_id": "c", "azp": "a", "sub": "s"}, "c"),
        ({"client_id": GONE, "azp": "a", "sub": "s"}, "a"),
        ({"client_id": GONE, "sub": "s"}, "s"),
    ],
    ids=["client_id", "azp", "sub"],
)
def test_the_sender_is_the_first_of_client_id_azp_and_sub(claims: dict[str, object], sender: str) -> None:
    assert judged(token_of(claims, {})).sender == sender


def test_a_sender_claim_of_ones_own_replaces_these_three() -> None:
    issuer = replace(ISSUER, sender_claims=("partner",))
    assert judged(token(partner="voluum"), issuer).sender == "voluum"
    with pytest.raises(Rejected, match="names no sender in partner"):
        judged(token(), issuer)


def test_a_grant_lasts_until_the_token_expires() -> None:
    assert judged(token()).expires == TIME + 300


def test_a_token_is_valid_from_a_skew_before_its_nbf_until_a_skew_after_its_exp() -> None:
    unverified, moment = read_token(token(nbf=TIME, exp=TIME)), datetime.fromtimestamp(TIME, UTC)
    skew, instant = timedelta(seconds=SKEW_SECONDS), timedelta(microseconds=1)
    for now in (moment - skew, moment + skew - instant):
        verify(unverified, KEYS, ISSUER, now)
    with pytest.raises(Rejected, match="not valid yet"):
        verify(unverified, KEYS, ISSUER, moment - skew - instant)
    with pytest.raises(Rejected, match="expired"):
        verify(unverified, KEYS, ISSUER, moment + skew)


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", fullmatch=True))
def test_no_text_is_a_token_and_none_raises_anything_else(text: str) -> None:
    with pytest.raises(Rejected):
        judged(text)


NAMES = st.sampled_from(["iss", "aud", "exp", "nbf", "scope", "scp", "roles", "client_id", "typ", "token_use", "cnf"])


@given(st.dictionaries(NAMES, JSON_VALUES, min_size=1))
def test_genuine_claims_of_any_shape_are_judged(claims: dict[str, object]) -> None:
    try:
        grant = judged(token_of(claims, {}))
    except Rejected as rejected:
        assert rejected.outcome in {Outcome.UNAUTHENTICATED, Outcome.FORBIDDEN}  # noqa: PT017 - or none
    else:
        assert grant.sender.isprintable()


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "b64", "x5t"]), JSON_VALUES, min_size=1))
def test_headers_of_any_shape_are_judged(header: dict[str, object]) -> None:
    try:
        judged(token_of({}, header))
    except Rejected as rejected:
        assert rejected.outcome is Outcome.UNAUTHENTICATED  # noqa: PT017 - or none
