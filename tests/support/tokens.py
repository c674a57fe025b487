"""Owns tokens for tests: an issuer's private keys, its JWK Set, and a valid token of which a test changes one thing."""

import base64
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from service.auth.oauth.issuer import Issuer
from tests.support import builders

NOW = builders.RECEIVED_AT
TIME = int(NOW.timestamp())
ISSUER = Issuer("https://issuer.example/tenant", "https://postback.example")
GONE: Literal["gone"] = "gone"  # as a value: leave the member out

RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa"})
PrivateKey = RSAKey | ECKey | OKPKey | OctKey

HEADER = {"alg": "RS256", "kid": "rsa", "typ": "at+jwt"}
CLAIMS: Mapping[str, object] = {
    "iss": ISSUER.url,
    "aud": ISSUER.audience,
    "exp": TIME + 300,
    "iat": TIME,
    "client_id": "ezmob",
    "sub": "somebody",
    "scope": "postback",
}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=9), values, max_size=3),
    max_leaves=5,
)


def key_set(*keys: PrivateKey) -> bytes:
    """Return the JWK Set that publishes these keys."""
    return json.dumps({"keys": [key.as_dict() for key in keys]}).encode()


def changed(of: Mapping[str, object], changes: Mapping[str, object]) -> bytes:
    """Return the JSON of an object with some members changed, or left out."""
    return json.dumps({name: value for name, value in {**of, **changes}.items() if value != GONE}).encode()


def encoded(part: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def signed(header: bytes, payload: bytes, key: PrivateKey = RSA, algorithm: str = "RS256") -> str:
    """Return a token of any two parts, with a genuine signature."""
    text = f"{encoded(header)}.{encoded(payload)}"
    return f"{text}.{encoded(JWSRegistry.algorithms[algorithm].sign(text.encode(), key))}"


def token(
    *,
    key: PrivateKey = RSA,
    algorithm: str = "RS256",
    header: Mapping[str, object] = MappingProxyType({}),
    **claims: object,
) -> str:
    """Return a valid token with changes in its header and claims."""
    return token_of(claims, header, key, algorithm)


def token_of(
    claims: Mapping[str, object], header: Mapping[str, object], key: PrivateKey = ED, algorithm: str = "EdDSA"
) -> str:
    """Return the same, with claims that need not be names in Python."""
    head = changed(HEADER, {"alg": algorithm, "kid": key.kid, **header})
    return signed(head, changed(CLAIMS, claims), key, algorithm)
