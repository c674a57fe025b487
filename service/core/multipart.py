"""Owns multipart forms (RFC 7578): the body becomes pairs of name and text. A file is no text, and is rejected."""

from collections.abc import Iterator
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value

from service.core.decoding import MAX_PARAMETERS, Pairs, too_many_parameters
from service.core.outcome import Outcome, Rejected


def decode_multipart(body: bytes, boundary: str) -> Pairs:
    """Decode the parts between lines of `--boundary`.

    Raises `Rejected`: malformed_body, invalid_encoding, too_many_parameters.
    """
    if not boundary:
        raise Rejected(Outcome.MALFORMED_BODY, "the multipart form names no boundary")
    line = b"\r\n--" + boundary.encode("latin-1", "replace")
    count = body.count(line)
    if count > MAX_PARAMETERS:  # before the work of decoding them
        raise too_many_parameters(count)
    _, *parts = (b"\r\n" + body).split(line)
    if not parts or not parts[-1].startswith(b"--"):
        raise Rejected(Outcome.MALFORMED_BODY, "the multipart form has no end")
    return [*_pairs(parts[:-1])]


def _pairs(parts: list[bytes]) -> Iterator[tuple[str, str]]:
    for number, part in enumerate(parts, 1):
        blanks, found, rest = part.partition(b"\r\n")
        head, ended, content = rest.partition(b"\r\n\r\n")
        if blanks.strip(b" \t") or not (found and ended):
            raise Rejected(Outcome.MALFORMED_BODY, f"part {number} of the multipart form has no head")
        yield _name(head, number), _decoded(content, number)


def _name(head: bytes, number: int) -> str:
    headers = HeaderParser().parsestr(_decoded(head, number))
    name = headers.get_param("name", header="content-disposition")
    if headers.get_content_disposition() != "form-data" or name is None:
        raise Rejected(Outcome.MALFORMED_BODY, f"part {number} of the multipart form has no name")
    if headers.get_filename() is not None:
        raise Rejected(Outcome.MALFORMED_BODY, f"part {number} of the multipart form is a file; send text alone")
    return collapse_rfc2231_value(name)


def _decoded(encoded: bytes, number: int) -> str:
    try:
        text = encoded.decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected(Outcome.INVALID_ENCODING, f"part {number} of the multipart form is not UTF-8") from None
    if "\0" in text:
        raise Rejected(Outcome.INVALID_ENCODING, f"part {number} of the multipart form holds a NUL character")
    return text
