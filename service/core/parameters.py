"""Owns a postback's parameters: its query and its body together become pairs of name and text, within their bounds."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import repeat

from service.core.decoding import (
    MAX_PARAMETERS,
    Pairs,
    decode_csv,
    decode_json,
    decode_json_together,
    decode_query,
    too_many_parameters,
)
from service.core.outcome import Outcome, Rejected
from service.core.postback import RawPostback

MAX_URL_BYTES = 8 * 1024
MAX_BODY_BYTES = 64 * 1024


def parameters_of(raw: RawPostback) -> Pairs:
    """Return the parameters of a postback in the order sent. Raises `Rejected`."""
    size = len(raw.path) + 1 + len(raw.query)
    if size > MAX_URL_BYTES:
        raise Rejected(Outcome.TOO_LARGE, f"the URL has {size} bytes, {MAX_URL_BYTES} are allowed")
    if not raw.complete:
        raise Rejected(Outcome.MALFORMED_BODY, f"the sender hung up after {len(raw.body)} bytes of the body")
    if not raw.body:
        return decode_query(raw.query)
    if len(raw.body) > MAX_BODY_BYTES:
        raise Rejected(Outcome.TOO_LARGE, f"the body has more than {MAX_BODY_BYTES} bytes")
    pairs = [*decode_query(raw.query), *_body_pairs(raw)] if raw.query else _body_pairs(raw)
    if len(pairs) > MAX_PARAMETERS:
        raise too_many_parameters(len(pairs))
    return pairs


def decode_together(raws: Sequence[RawPostback]) -> Iterable[Pairs | None]:
    """Return the parameters of rows of a batch, as `parse` takes them; None for those that it must read itself."""
    _, _, paths, queries, types, encodings, bodies, complete, *_ = zip(*raws, strict=True)
    plain = all(complete) and not any(queries) and not any(encodings) and {*types} == {"application/json"}
    if not plain or max(map(len, bodies)) > MAX_BODY_BYTES or max(map(len, paths)) >= MAX_URL_BYTES:
        return repeat(None)
    pairs = decode_json_together(bodies)
    return pairs if pairs and max(map(len, pairs)) <= MAX_PARAMETERS else repeat(None)


def claimed(raw: RawPostback) -> Pairs:
    """Return the parameters of a postback that may be broken, as far as they can be read."""
    try:
        return [*decode_query(raw.query), *(_body_pairs(raw) if len(raw.body) <= MAX_BODY_BYTES else ())]
    except Rejected:
        parts = raw.query[:MAX_URL_BYTES].replace(b"\0", b"").decode("ascii", "backslashreplace").split("&")
        return [(name, text) for name, _, text in (part.partition("=") for part in parts)]


def _body_pairs(raw: RawPostback) -> Pairs:
    if not raw.body:
        return []
    if raw.content_encoding not in ("", "identity"):
        raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, f"content encoding {raw.content_encoding[:40]!a}")
    match media_type_of(raw.content_type):
        case "application/x-www-form-urlencoded":
            return decode_query(raw.body)
        case "application/json":
            return decode_json(raw.body)
        case "text/csv" if raw.door in ("batch", "import"):
            return decode_csv(raw.body)
        case other:
            raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, f"content type {other[:80]!a}")


@lru_cache(maxsize=64)
def media_type_of(content_type: str) -> str:
    """Return the body's media type in lower case. Raises `Rejected` for a charset that is not UTF-8."""
    media_type, _, parameters = content_type.lower().partition(";")
    charset = parameters.partition("charset=")[2].strip(' "') or "utf-8"
    if charset not in ("utf-8", "utf8"):
        raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, f"charset {charset[:40]!a}")
    return media_type.strip()
