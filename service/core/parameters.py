"""Owns a postback's parameters: its query and its body together become pairs of name and text, within their bounds."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import repeat

from service.core.bodies import JSON, body_pairs
from service.core.decoding import MAX_PARAMETERS, Pairs, decode_json_together, decode_query, too_many_parameters
from service.core.outcome import Outcome, Rejected
from service.core.postback import RawPostback
from service.core.sender import Sender

MAX_URL_BYTES = 8 * 1024
MAX_BODY_BYTES = 64 * 1024


def parameters_of(raw: RawPostback, sender: Sender) -> Pairs:
    """Return the parameters of a postback in the order sent. Raises `Rejected`.

    A body that cannot be read does no harm to a query that is complete: has a click id, a value, and all that this
    sender must send.
    """
    size = len(raw.path) + 1 + len(raw.query)
    if size > MAX_URL_BYTES:
        raise Rejected(Outcome.TOO_LARGE, f"the URL has {size} bytes, {MAX_URL_BYTES} are allowed")
    if not raw.complete:
        raise Rejected(Outcome.MALFORMED_BODY, f"the sender hung up after {len(raw.body)} bytes of the body")
    if not raw.body:
        return decode_query(raw.query)
    if len(raw.body) > MAX_BODY_BYTES:
        raise Rejected(Outcome.TOO_LARGE, f"the body has more than {MAX_BODY_BYTES} bytes")
    if not raw.query:
        pairs = body_pairs(raw)
    else:
        pairs = [*decode_query(raw.query)]
        try:
            pairs += body_pairs(raw)
        except Rejected as unread:
            if unread.outcome not in _UNREADABLE or not _is_complete(pairs, sender):
                raise
    if len(pairs) > MAX_PARAMETERS:
        raise too_many_parameters(len(pairs))
    return pairs


def decode_together(raws: Sequence[RawPostback]) -> Iterable[Pairs | None]:
    """Return the parameters of rows of a batch, as `parse` takes them; None for those that it must read itself."""
    _, _, paths, queries, types, encodings, bodies, complete, *_ = zip(*raws, strict=True)
    plain = all(complete) and not any(queries) and not any(encodings) and {*types} == {JSON}
    if not plain or max(map(len, bodies)) > MAX_BODY_BYTES or max(map(len, paths)) >= MAX_URL_BYTES:
        return repeat(None)
    pairs = decode_json_together(bodies)
    return pairs if pairs and max(map(len, pairs)) <= MAX_PARAMETERS else repeat(None)


def claimed(raw: RawPostback) -> Pairs:
    """Return the parameters of a postback that may be broken, as far as they can be read."""
    try:
        pairs = [*decode_query(raw.query)]
    except Rejected:
        parts = raw.query[:MAX_URL_BYTES].replace(b"\0", b"").decode("ascii", "backslashreplace").split("&")
        pairs = [(name, text) for name, _, text in (part.partition("=") for part in parts)]
    with suppress(Rejected):
        pairs += body_pairs(raw) if len(raw.body) <= MAX_BODY_BYTES else ()
    return pairs


def is_unread(raw: RawPostback, pairs: Pairs | None = None) -> bool:
    """Tell whether the body of an accepted postback could not be read, beside its query.

    `pairs` are its parameters, if they are at hand: more than the query's are the body's, which need not be read again.
    """
    if pairs is not None and len(pairs) > len(decode_query(raw.query)):
        return False
    try:
        body_pairs(raw)
    except Rejected:
        return True
    return False


_UNREADABLE = frozenset({Outcome.MALFORMED_BODY, Outcome.UNSUPPORTED_MEDIA_TYPE, Outcome.INVALID_ENCODING})


def _is_complete(pairs: Pairs, sender: Sender) -> bool:
    return {"click_id", "value", *sender.required} <= {
        sender.fields[name] for name, text in pairs if text.strip() and name in sender.fields
    }
