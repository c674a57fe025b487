"""Owns whether kept input names a text (a click id, a person's address), however it is written, and in which parameter.

This is the one rule of `lookup`, `reconcile` and `erase`: a text is named where it stands as a whole word, as it is, or
as URLs, forms and JSON write it, or in a packed body.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import unquote, unquote_plus

from service.core.decoding import decode_csv
from service.core.decompression import unpack
from service.core.outcome import Rejected

FEW = 8  # texts: as many as are looked for one by one
TELLING = 8  # letters of a click id: a shorter one may be anybody's value, so what claims another id does not name it
WRITTEN_OTHERWISE = ("%", "\\", "content-encoding: ")  # without one of these, a text's letters stand as they are

_EDGE = r"(?a:[\w.~-])"
_WORDS = re.compile(r"[\w.~-]+", re.ASCII)
_UNPACKED = 2**20  # bytes of a packed body that are searched
_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
_NO_UTF8 = re.compile("[\udc80-\udcff]")  # bytes that were sent in another encoding
_PACKED = re.compile(rb"\r\ncontent-encoding: ([^\r\n]+)")


class _Sought(NamedTuple):
    text: str
    whole: re.Pattern[str] | None  # None: it is one word, so its anchor is all of it


class Texts:
    """Texts that are looked for, any number of them at once.

    `personal` is for what tells of a person: the case of its letters does not count, nor how they are encoded (see
    `folded`), and a short one is found anywhere.
    """

    def __init__(self, texts: Iterable[str], *, personal: bool = False) -> None:
        self.personal = personal
        self.texts = tuple(filter(None, dict.fromkeys(texts)))
        self._by_word: dict[str, list[_Sought]] = {}
        self._without_word: list[_Sought] = []
        for text in self.texts:
            word, sought = _word_of(self._read(text)), _Sought(text, self._whole(self._read(text)))
            if word:
                self._by_word.setdefault(word, []).append(sought)
            else:
                self._without_word.append(sought)

    @property
    def words(self) -> Sequence[str] | None:
        """One word of each text, of a personal one as it is folded; what has the text has it. None if one has none."""
        return None if self._without_word else [*self._by_word]

    def only(self, text: str) -> "Texts":
        """Return one of them, looked for in the same way."""
        return Texts([text], personal=self.personal)

    def named_in(self, raw: bytes, claimed: str | None = None) -> set[str]:
        """Return those that raw input names. `claimed` is the click id that the input was taken to be of."""
        found = set(self._found(_forms(raw)))
        if claimed is not None and not self.personal:
            found = {text for text in found if text == claimed or len(text) >= TELLING}
        return found

    def parameter_of(self, raw: bytes) -> str:
        """Return the name of the first parameter that names one of them; nothing where no parameter does."""
        named = (name for name, value in parameters(raw) if any(self._found([value, *_unescaped(value)])))
        return next(named, "")

    def _found(self, forms: Iterable[str]) -> Iterator[str]:
        for written in map(self._read, forms):
            sought = [one for word in self._words_in(written) for one in self._by_word[word]]
            for text, whole in (*sought, *self._without_word):
                if whole is None or whole.search(written):
                    yield text

    def _words_in(self, written: str) -> set[str]:
        """Return the words of the texts that stand here, each as a whole word."""
        if len(self._by_word) <= FEW and not any(word in written for word in self._by_word):
            return set()
        return self._by_word.keys() & _WORDS.findall(written)

    def _whole(self, text: str) -> re.Pattern[str] | None:
        if _WORDS.fullmatch(text):
            return None
        return re.compile(f"(?<!{_EDGE}){re.escape(text)}(?!{_EDGE})")

    def _read(self, text: str) -> str:
        return folded(text) if self.personal else text


def folded(text: str) -> str:
    """Return a text as texts that tell of a person are compared: without what letter case and encoding change.

    So `Straße`, `STRASSE` and an `e` with an accent of its own are what people take them for (NFKC and case folding); a
    capital dotted I is an i.
    """
    if text.isascii():
        return text.lower()
    return normalize("NFKC", normalize("NFKC", text).casefold()).replace("i\u0307", "i")


def parameters(raw: bytes) -> list[tuple[str, str]]:
    """Return the parameters of kept input, as far as they can be read: of the request line, then of the body."""
    head, _, body = raw.partition(b"\r\n\r\n")
    _, _, query = head.partition(b"\r\n")[0].partition(b"?")
    body = _unpacked(head, body)
    members = _members(body) if body else []
    return [*_pairs(query), *(members or _cells(body) or _pairs(body))]


def _word_of(text: str) -> str:
    """Return the longest word of a text: what has the text has this word."""
    return max(_WORDS.findall(text), key=len, default="")


def _forms(raw: bytes) -> set[str]:
    """Return the input in each way in which it may have been meant.

    It is read twice: what is stored was decoded once when it came, and once more when it is searched.
    """
    head, _, body = raw.partition(b"\r\n\r\n")
    packed = _unpacked(head, body)
    plain = [_decoded(raw)] if packed is body else [_decoded(head), _decoded(packed)]
    once = {form for text in plain for form in (text, *_unescaped(text))}
    return {form for text in once for form in (text, *_unescaped(text))}


def _unescaped(text: str) -> Iterator[str]:
    if "%" in text:
        yield (plain := unquote(text, errors="surrogateescape"))
        if _NO_UTF8.search(plain):
            yield unquote(text, encoding="latin-1")
    if "+" in text:
        yield unquote_plus(text, errors="surrogateescape")
    if "\\" in text:
        yield _out_of_json(text)


def _out_of_json(text: str) -> str:
    """Return the text with JSON's escapes resolved, wherever they stand."""
    text = _ESCAPES.sub(lambda found: str(json.loads(f'"{found[0]}"')), text)
    return re.sub(r'\\(["\\/])', r"\1", text)


def _unpacked(head: bytes, body: bytes) -> bytes:
    """Return the body as it was before it was packed; one that cannot be unpacked as it came."""
    packed = _PACKED.search(head)
    if packed is None:
        return body
    try:
        return unpack(body, packed[1].decode("latin-1").strip().lower(), _UNPACKED)
    except Rejected:
        return body


def _pairs(encoded: bytes) -> list[tuple[str, str]]:
    parts = (part.partition("=") for part in _decoded(encoded).strip("?&").split("&"))
    read = [[unquote_plus(half, errors="surrogateescape").strip() for half in (name, text)] for name, _, text in parts]
    return [(name, text) for name, text in read if text]


def _members(body: bytes) -> list[tuple[str, str]]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return []
    rows = found if isinstance(found, list) else [found]
    members = [member for row in rows if isinstance(row, dict) for member in row.items()]
    return [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in members]


def _cells(body: bytes) -> Sequence[tuple[str, str]]:
    """Return the cells of a CSV record below its header, as rows of a batch and of a file are kept."""
    try:
        return decode_csv(body) if b"\n" in body.strip() else []
    except Rejected:
        return []


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
