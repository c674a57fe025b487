"""Tokens, signatures and signing secrets in every place where a request can hold one: nothing keeps or tells them."""

import json
import re
import signal
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.outside.harness import Service, wait_for
from tests.support.outside.registering import FORM, JSON, NDJSON, done, places, posted, sent, told
from tests.support.outside.signing import signed_query, webhook
from tests.support.outside.strangers import answering, listening
from tests.support.outside.wire import Wire, request

pytestmark = [pytest.mark.system, pytest.mark.proof]

ISSUER, AUDIENCE = "https://issuer.example", "https://postback.example"
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}
UNUSED = "whsec_q/Zt0+VhY1b2c3d4e5f6g7h8i9j0KkLlMmNnOoPpQq8="  # nobody's here: a registered one is in its table


def _part(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def token_of(key: Ed25519PrivateKey) -> str:
    """Return an access token that is good for an hour, for the client `acme-client`."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "scope": "postback", "client_id": "acme-client"}
    head = _part(json.dumps({"alg": "EdDSA", "kid": "k", "typ": "at+jwt"}).encode())
    content = f"{head}.{_part(json.dumps({**claims, 'exp': int(time.time()) + 3600}).encode())}"
    return f"{content}.{_part(key.sign(content.encode()))}"


def in_headers(secret: str) -> dict[str, bytes]:
    """Return requests that hold a secret where nothing is kept: in headers, the path, and what is no request."""

    def get(query: str = "c=a&value=1", **headers: str) -> bytes:
        return request(f"/postback?{query}", headers={name.replace("_", "-"): text for name, text in headers.items()})

    basic = b64encode(f"me:{secret}".encode()).decode()
    user = b64encode(f"{secret}:".encode()).decode()
    names = ["X-API-Key", "Cookie", "Referer", "User-Agent", "Origin", "Proxy-Authorization", "X-Forwarded-For", "ETag"]
    names += [
        "X-Forwarded-Access-Token",
        "traceparent",
        "tracestate",
        "Accept",
        "webhook-id",
        "webhook-signature",
        "sig",
    ]
    return {
        "bearer": get(Authorization=f"Bearer {secret}"),
        "bearer, in capitals": get("c=b&value=1", Authorization=f"BEARER  {secret} "),
        "bearer, rejected": get("c=c&value=x", Authorization=f"Bearer {secret}"),
        "bearer, twice": get("c=d&value=1", Authorization=f"Bearer {secret}, Bearer {secret}"),
        "bearer, to the pixel": request("/pixel.gif?c=e&value=1", headers={"Authorization": f"Bearer {secret}"}),
        "bearer, with rows": posted("/postbacks", b'{"c":"f"}\n', NDJSON, {"Authorization": f"Bearer {secret}"}),
        "bearer, with what is not JSON": posted("/postback", b"{", JSON, {"Authorization": f"Bearer {secret}"}),
        "basic": get("c=g&value=1", Authorization=f"Basic {basic}"),
        "basic, as the user": get("c=h&value=1", Authorization=f"Basic {user}"),
        "no base64": get("c=i&value=1", Authorization=f"Basic {secret}"),
        "a scheme of its own": get("c=j&value=1", Authorization=f"Token {secret}"),
        "the key": get(f"c=k&value=1&key={secret.replace('+', '%2B')}"),
        "the key and a token": get(f"key={secret.replace('+', '%2B')}&c=l&value=1", Authorization=f"Bearer {secret}"),
        **{name: get("c=m&value=1", **{name: secret}) for name in names},
        "a host": request("/postback?c=n&value=1", host=secret.replace("/", "").replace("=", "")),
        "a header's name": get("c=o&value=1", **{secret.replace("/", "").replace("=", "").replace("_", ""): "1"}),
        "a wrong path": request(f"/{secret}?access_token={secret}"),
        "a path below": request(f"/postback/{secret}", headers={"Authorization": f"Bearer {secret}"}),
        "a wrong method": request(f"/postback?access_token={secret}", method="PUT"),
        "a method": request("/postback", method=secret.replace("/", "").replace("=", "")[-20:]),
        "no HTTP": f"{secret}\r\n\r\n".encode(),
        "a broken header": f"GET /postback?t={secret} HTTP/1.1\r\nHost: x\r\n{secret}\r\n\r\n".encode(),
        "another version": f"GET /postback?t={secret} HTTP/9.9\r\nAuthorization: Bearer {secret}\r\n\r\n".encode(),
        "too much": request("/postback?c=p&value=1", headers={"Cookie": secret * 400}),
        "two lengths": posted("/postback", b"x", FORM, {"Content-Length": "9", "Cookie": secret}),
    }


def in_what_is_sent(secret: str) -> dict[str, bytes]:
    """Return requests that hold a secret in what is kept of them."""
    quoted, text = secret.replace("+", "%2B").replace("=", "%3D"), secret.encode()
    return {
        "another parameter": request(f"/postback?c=q&value=1&access_token={quoted}"),
        "a name": request(f"/postback?c=r&value=1&{quoted}=1"),
        "a value": request(f"/postback?c=s&value={quoted}"),
        "too long a url": request(f"/postback?c=t&value=1&x={'x' * 9000}{quoted}"),
        "a form": posted("/postback", f"c=u&value=1&access_token={quoted}".encode(), FORM, {}),
        "json": posted("/postback", b'{"c":"v","value":1,"access_token":"%b"}' % text, JSON, {}),
        "broken json": posted("/postback", b'{"c":"w","access_token":"%b' % text, JSON, {}),
        "a media type": posted("/postback", b"x", f"text/{quoted}", {}),
        "rows": posted("/postbacks", b'{"c":"x","value":1,"t":"%b"}\n{"t":"%b"}\n' % (text, text), NDJSON, {}),
        "rows of csv": posted("/postbacks", b"c,value,t\ny,1,%b\nz,x,%b\n" % (text, text), "text/csv", {}),
        "rows' query": posted(f"/postbacks?access_token={quoted}", b"{}", NDJSON, {}),
    }


def beside_signatures(secret: str) -> dict[str, bytes]:
    """Return requests with a good signature, or one that could be, where a query or its headers can hold it."""
    signed = signed_query(secret, "c=s1&value=1", time.time())
    query, _, sig = signed.rpartition("&")
    body = b'{"c":"s2","value":1}'
    made = webhook(secret, body, time.time())
    bearer = {"Authorization": f"Bearer {made['webhook-signature']}"}

    def post(headers: Mapping[str, str], path: str = "/postback", content: bytes = body) -> bytes:
        return request(path, method="POST", headers=headers, body=content)

    return {
        "a query": request(f"/postback?{signed}"),
        "a query, again": request(f"/postback?{signed}"),
        "to the pixel": request(f"/pixel.gif?{signed}"),
        "rejected": request(f"/postback?{signed_query(secret, 'c=s3&value=x', time.time())}"),
        "changed": request(f"/postback?{signed.replace('value=1', 'value=2')}"),
        "first": request(f"/postback?{sig}&{query}"),
        "in the middle": request(f"/postback?{query}&{sig}&x=1"),
        "twice": request(f"/postback?{sig}&{signed}&{sig}"),
        "too long": request(f"/postback?x={'x' * 9000}&{signed}"),
        "with rows": posted(f"/postbacks?{signed}", b"{}", NDJSON, {}),
        "with a form": posted(f"/postback?{signed}", b"x=1", FORM, {}),
        "a wrong path": request(f"/elsewhere?{signed}"),
        "a wrong method": request(f"/postback?{signed}", method="PUT"),
        "no HTTP": f"GET /postback?{signed}\r\nwebhook-signature {made['webhook-signature']}\r\n\r\n".encode(),
        "a body": post(made),
        "a body, changed": post(made, content=body.replace(b"1", b"2")),
        "a body with a query": post(made, "/postback?x=1"),
        "a body, elsewhere": post(made, "/elsewhere"),
        "without a body": request("/postback?c=s4&value=1", headers=made),
        "without a body, and signed": request(f"/postback?{signed}", headers=made),
        "as a token": request("/postback?c=s5&value=1", headers=bearer),
        "as a cookie": request(
            "/postback?c=s6&value=1", headers={"Cookie": made["webhook-signature"], "Referer": signed}
        ),
    }


def proofs_in(asked: bytes) -> set[bytes]:
    """Return the signatures that a request holds."""
    return set(re.findall(rb"(?<=sig=)[0-9a-f]{64}|(?<=v1,)[A-Za-z0-9+/]{43}=", asked))


def ask(service: Service, asked: Iterable[bytes]) -> list[bytes]:
    """Send each; return the answers, and the pages that tell of a service."""
    answers = [sent(service, one) for one in asked]
    process = Path(f"/proc/{service.pid}")
    told_of = [repr(answer).encode() for answer in answers]
    for headers in ({}, OPENMETRICS):
        with Wire(service.operator) as wire:
            told_of.append(wire.exchange(request("/metrics", headers=headers)).body)
    return [*told_of, *((process / name).read_bytes() for name in ("cmdline", "environ"))]


@contextmanager
def knowing_acme(directory: Path) -> Iterator[tuple[Service, str]]:
    """Run a service that takes tokens of a test's own issuer; yields a good one with it."""
    key = Ed25519PrivateKey.generate()
    public = _part(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    jwks = json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "use": "sig", "x": public}]}).encode()
    done(directory, f"sqlite:///{directory / 'p.db'}", "senders", "add", "acme", "--oauth-subject", "acme-client")
    settings = {"LOG_LEVEL": "debug", "STRANGER_RATE": "0", "OAUTH_ISSUER": ISSUER, "OAUTH_AUDIENCE": AUDIENCE}
    with listening(answering(200, jwks)) as url, Service(directory, {**settings, "OAUTH_JWKS_URL": url}) as service:
        token = token_of(key)
        good = request("/postback?c=good&value=1", headers={"Authorization": f"Bearer {token}"})
        wait_for(lambda: sent(service, good).status == 200 or None, 30, every=0.1)
        yield service, token


def spellings(secret: str) -> set[bytes]:
    """Return the end of a secret, as it is and as URLs and Basic write it."""
    end = secret[-40:]
    return {
        end.encode(),
        end.replace("+", "%2B").replace("=", "%3D").encode(),
        b64encode(f"me:{secret}".encode())[-40:],
    }


def test_a_token_in_headers_paths_or_broken_requests_is_nowhere(tmp_path: Path, figures: Callable[[str], None]) -> None:
    with knowing_acme(tmp_path) as (service, token):
        cases = in_headers(token)
        told_of = ask(service, cases.values())
        assert service.sql("SELECT count(*) FROM conversion WHERE sender = 'acme'")[0] >= (3,)
        assert service.terminate(signal.SIGTERM) == 0
    assert places(tmp_path, spellings(token), *told_of) == []
    figures(f"{len(cases)} requests with a token, 0 hits")


def test_a_token_in_a_query_or_body_is_nowhere(tmp_path: Path) -> None:
    with knowing_acme(tmp_path) as (service, token):
        bearer = f"\r\nAuthorization: Bearer {token}\r\n".encode()
        sent_as_acme = [one.replace(b"\r\n", bearer, 1) for one in in_what_is_sent(token).values()]
        told_of = ask(service, [*in_what_is_sent(token).values(), *sent_as_acme])
        assert service.terminate(signal.SIGTERM) == 0
    assert places(tmp_path, spellings(token), *told_of) == []


def test_a_signature_is_nowhere(tmp_path: Path, figures: Callable[[str], None]) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    done(tmp_path, url, "senders", "add", "acme")
    secret = told(tmp_path, url, "secrets", "create", "acme")["secret"]
    cases = beside_signatures(secret)
    with Service(tmp_path, {"LOG_LEVEL": "debug", "STRANGER_RATE": "0"}) as service:
        told_of = ask(service, cases.values())
        assert service.sql("SELECT click_id FROM conversion ORDER BY 1") == [("s1",), ("s2",)]
        assert service.terminate(signal.SIGTERM) == 0
    proofs = set[bytes]().union(*map(proofs_in, cases.values()))
    assert (len(proofs), places(tmp_path, proofs, *told_of)) == (3, [])
    figures(f"{len(cases)} requests with a signature, 0 hits")


def test_a_signing_secret_that_is_sent_is_nowhere(tmp_path: Path, figures: Callable[[str], None]) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    done(tmp_path, url, "senders", "add", "acme", "--report-only", "credentials")
    done(tmp_path, url, "keys", "create", "acme")
    cases = {**in_headers(UNUSED), **in_what_is_sent(UNUSED)}
    with Service(tmp_path, {"LOG_LEVEL": "debug", "STRANGER_RATE": "0"}) as service:
        told_of = ask(service, cases.values())
        assert service.sql("SELECT count(*) FROM conversion")[0] >= (5,)
        assert service.terminate(signal.SIGTERM) == 0
    assert places(tmp_path, spellings(UNUSED), *told_of) == []
    figures(f"{len(cases)} requests with a signing secret, 0 hits")
