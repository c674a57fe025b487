"""Owns the verification of one access token, as a pure function: text, keys, issuer and time in, the sender out.

A token is a JWT access token in compact form (RFC 7519, RFC 9068), signed with RS256, ES256 or EdDSA. Nothing in it
says how it is to be verified: the key is the issuer's, and the key decides the algorithm (RFC 8725). The reasons for a
rejection repeat nothing of the token.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from joserfc.util import urlsafe_b64decode

from service.auth.oauth.issuer import Issuer
from service.auth.oauth.jwks import ALGORITHMS, VerifyingKey, matching_key
from service.core.outcome import Outcome, Rejected

MOST_CHARACTERS = 8192
SKEW_SECONDS = 60
_MOST_KID = 256
_MOST_SENDER = 255
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TYPES = ("at+jwt", "jwt")  # RFC 9068 wants the first; most issuers still write the second, or nothing
# A header that brings its own key, or says that the token is to be read in another way.
_REFUSED_HEADERS = ("crit", "b64", "jwk", "jku", "x5u", "x5c", "cty", "enc", "zip")
_ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash", "s_hash")  # OpenID Connect Core 2, 3.3.2.11; FAPI

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token of which only the header was read: it names the key that the token claims to be signed with."""

    text: str
    algorithm: str
    kid: str | None
    access_token: bool  # its type says so, so that it needs no second look for an ID token


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified token says: who sends, and until when (Unix seconds)."""

    sender: str
    expires: float


def read_token(text: str) -> UnverifiedToken:
    """Read a token's header. Raises Rejected (unauthenticated) for a text that no key could make a valid token."""
    if len(text) > MOST_CHARACTERS:
        raise _unauthenticated(f"the token is longer than {MOST_CHARACTERS} characters")
    if not _COMPACT.fullmatch(text):
        raise _unauthenticated("the token is no signed JWT in its compact form")
    header = _json(text.partition(".")[0], "header")
    for name in _REFUSED_HEADERS:
        if name in header:
            raise _unauthenticated(f"the token's header has {name}, which is not taken")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _unauthenticated("the token is not signed with RS256, ES256 or EdDSA")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= _MOST_KID):
        raise _unauthenticated(f"the token's kid is no text of at most {_MOST_KID} characters")
    return UnverifiedToken(text, algorithm, kid, access_token=_type(header) == _TYPES[0])


def verify(token: UnverifiedToken, keys: Iterable[VerifyingKey], issuer: Issuer, now: datetime) -> Grant:
    """Return what the token grants. Raises Rejected: forbidden if only the scope is missing, else unauthenticated."""
    key = matching_key(keys, token.kid, token.algorithm)
    if key is None:
        raise _unauthenticated("the token names no key of the issuer")
    signed, _, signature = token.text.rpartition(".")
    if not key.signed(signed.encode(), _bytes(signature, "signature")):
        raise _unauthenticated("the token's signature is wrong")
    claims, expires, sender = _claims(token, issuer, now)
    if issuer.scope not in _granted(claims):
        raise Rejected(Outcome.FORBIDDEN, f"the token lacks the scope {issuer.scope}")
    return Grant(sender, expires)


def issued_ago(token: UnverifiedToken, issuer: Issuer, now: datetime) -> float | None:
    """Return how many seconds ago a token says that it was made, None if it does not say so.

    Raises Rejected (unauthenticated) for one that no signature could make a good one.
    """
    issued = _moment(_claims(token, issuer, now)[0], "iat")
    return None if issued is None else now.timestamp() - issued


def _claims(token: UnverifiedToken, issuer: Issuer, now: datetime) -> tuple[Json, float, str]:
    """Return what a token says, until when, and of whom."""
    claims = _json(token.text.split(".")[1], "payload")
    _check_parties(claims, issuer)
    expires = _check_time(claims, now.timestamp())
    _check_purpose(claims, token)
    return claims, expires, _sender(claims, issuer)


def _check_parties(claims: Json, issuer: Issuer) -> None:
    if claims.get("iss") != issuer.url:
        raise _unauthenticated("the token is of another issuer")
    audience = claims.get("aud")
    if issuer.audience not in (audience if isinstance(audience, list) else [audience]):
        raise _unauthenticated("the token is for another audience")


def _check_time(claims: Json, now: float) -> float:
    expires, begins = _moment(claims, "exp"), _moment(claims, "nbf")
    if expires is None:
        raise _unauthenticated("the token has no exp")
    if now >= expires + SKEW_SECONDS:
        raise _unauthenticated("the token has expired")
    if begins is not None and now < begins - SKEW_SECONDS:
        raise _unauthenticated("the token is not valid yet")
    return expires


def _check_purpose(claims: Json, token: UnverifiedToken) -> None:
    """Refuse a token that proves something else than that its bearer may send.

    One bound to its sender's key (DPoP, RFC 9449; mutual TLS, RFC 8705) must not be taken without proof of that key.
    An ID token is about a login; where the type does not tell, its own claims do, or what Keycloak (`typ`) and
    Cognito (`token_use`) write.
    """
    if "cnf" in claims:
        raise _unauthenticated("the token is bound to a key of its sender, which is not checked here")
    if token.access_token:
        return
    kind = claims.get("typ", "Bearer"), claims.get("token_use", "access")
    if kind != ("Bearer", "access") or any(name in claims for name in _ID_TOKEN_CLAIMS):
        raise _unauthenticated("the token is no access token")


def _sender(claims: Json, issuer: Issuer) -> str:
    sender = next((claims[name] for name in issuer.sender_claims if name in claims), None)
    if not isinstance(sender, str) or not 0 < len(sender) <= _MOST_SENDER or not sender.isprintable():
        raise _unauthenticated(f"the token names no sender in {', '.join(issuer.sender_claims)}")
    return sender


def _granted(claims: Json) -> set[str]:
    """Return what the token allows: `scope` (RFC 9068), `scp` (Entra, Okta), `roles` (Entra's client credentials)."""
    values = [claims.get(name) for name in ("scope", "scp", "roles")]
    lists = [value.split(" ") if isinstance(value, str) else value for value in values]
    return {name for listed in lists if isinstance(listed, list) for name in listed if isinstance(name, str)}


def _moment(claims: Json, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value < math.inf:
        raise _unauthenticated(f"the token's {name} is no number")
    return value


def _type(header: Json) -> str:
    """Return the token's type, `jwt` if it has none. A media type may leave out `application/` (RFC 7515, 4.1.9)."""
    written = header.get("typ", "JWT")
    name = written.lower().removeprefix("application/") if isinstance(written, str) else ""
    if name not in _TYPES:
        raise _unauthenticated("the token's typ is neither at+jwt nor JWT")
    return name


def _json(part: str, what: str) -> Json:
    """Read one part strictly: UTF-8, no name twice, no NaN, so that nobody else reads something else in it."""
    try:
        parsed: object = json.loads(
            _bytes(part, what).decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise _unauthenticated(f"the token's {what} is not JSON") from None
    if not isinstance(parsed, dict):
        raise _unauthenticated(f"the token's {what} is no JSON object")
    return parsed


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is there twice")
    return members


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _bytes(part: str, what: str) -> bytes:
    try:
        return urlsafe_b64decode(part.encode())
    except ValueError:
        raise _unauthenticated(f"the token's {what} is not base64url") from None


def _unauthenticated(detail: str) -> Rejected:
    return Rejected(Outcome.UNAUTHENTICATED, detail)
