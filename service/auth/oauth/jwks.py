"""Owns reading a JWK Set (RFC 7517): which of an issuer's published keys can verify tokens, and how."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key
from joserfc.jws import JWSRegistry

MOST_KEYS = 64
_RSA_BITS = range(2048, 4097)
_RSA_CHARACTERS = range(342, 690)  # of such a modulus in base64url, so that nothing huge is made a number of

# What a key is decides its algorithm, and never what a token says: an RSA key can neither be a secret of HS256 nor
# anything else. The members are those that make the key; whatever else an issuer writes beside them is not looked at.
_KINDS: Final = {
    ("RSA", None): ("RS256", ("n", "e")),
    ("EC", "P-256"): ("ES256", ("crv", "x", "y")),
    ("OKP", "Ed25519"): ("EdDSA", ("crv", "x")),
}
ALGORITHMS: Final = frozenset(algorithm for algorithm, _ in _KINDS.values())


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key for one algorithm. `kid` is the name that tokens call it by, None if the issuer gave it none."""

    kid: str | None
    algorithm: str
    key: RSAKey | ECKey | OKPKey

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Tell whether the holder of the private key signed this text."""
        # The registry's own way to an algorithm warns of the name EdDSA (RFC 9864), once for each token.
        return JWSRegistry.algorithms[self.algorithm].verify(text, signature, self.key)


def read_keys(document: bytes) -> tuple[VerifyingKey, ...]:
    """Return the keys of a JWK Set that can verify; the others (encryption, other algorithms, secrets) are left out.

    Raises ValueError for what is no JWK Set, or one of more than 64 keys.
    """
    try:
        parsed: object = json.loads(document.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("the answer is not JSON") from None
    listed: object = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(listed, list):
        raise ValueError("the answer is no JWK Set")  # noqa: TRY004 - a wrong document is no wrong type of ours
    if len(listed) > MOST_KEYS:
        raise ValueError(f"the JWK Set has {len(listed)} keys; at most {MOST_KEYS} are taken")
    return tuple(key for key in map(_usable, listed) if key)


def matching_key(keys: Iterable[VerifyingKey], kid: str | None, algorithm: str) -> VerifyingKey | None:
    """Return the key that a token names; the only one there is if it names none (OpenID Connect Core, 10.1)."""
    fitting = [key for key in keys if key.algorithm == algorithm]
    if kid is None:
        return fitting[0] if len(fitting) == 1 else None
    return next((key for key in fitting if key.kid == kid), None)


def _usable(entry: object) -> VerifyingKey | None:
    if not isinstance(entry, dict):
        return None
    kind = _KINDS.get((str(entry.get("kty")), cast("str | None", entry.get("crv") and str(entry["crv"]))))
    kid: object = entry.get("kid")
    if kind is None or "d" in entry or not (kid is None or isinstance(kid, str)):
        return None
    algorithm, members = kind
    key = _made(entry, members) if _meant_for(entry, algorithm) else None
    return VerifyingKey(kid, algorithm, key) if key else None


def _meant_for(entry: dict[str, object], algorithm: str) -> bool:
    operations = entry.get("key_ops", ["verify"])
    verifies = isinstance(operations, list) and "verify" in operations
    return entry.get("use", "sig") == "sig" and entry.get("alg", algorithm) == algorithm and verifies


def _made(entry: dict[str, object], members: tuple[str, ...]) -> RSAKey | ECKey | OKPKey | None:
    bare: dict[str, str | list[str]] = {
        name: value for name in ("kty", *members) if isinstance(value := entry.get(name), str)
    }
    if bare["kty"] == "RSA" and len(bare.get("n", "")) not in _RSA_CHARACTERS:
        return None
    try:
        key = import_key(bare)
    except (JoseError, ValueError):
        return None
    if isinstance(key, RSAKey):
        return key if cast("RSAPublicKey", key.raw_value).key_size in _RSA_BITS else None
    return key if isinstance(key, ECKey | OKPKey) else None
