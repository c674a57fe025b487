"""Owns the list of all shapes of messages."""

from tests.web import more_shapes as more
from tests.web.body_shapes import CHUNKED, CODINGS, FOLLOWING, LENGTHS
from tests.web.shapes import FIELDS, HOSTS, LINES

_HEADS = [*LINES, *more.LINE_TRICKS, *HOSTS, *FIELDS, *more.FIELD_TRICKS]
_BODIES = [*LENGTHS, *more.LENGTH_TRICKS, *CODINGS, *more.CODING_TRICKS, *CHUNKED, *more.CHUNK_TRICKS]
SHAPES = [*_HEADS, *_BODIES, *more.EXPECTATIONS, *FOLLOWING, *more.FOLLOWED]
