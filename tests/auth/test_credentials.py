"""What a request shows of who it is: four ways, each once, and nothing of it left in the query."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.credentials import NO_CREDENTIALS, Credentials, credentials_of, extract_keys, shown_in
from tests.support.registered import KEY, text_of

OTHER = text_of("other")


def basic(text: str) -> bytes:
    return b"Basic " + b64encode(text.encode())


@pytest.mark.parametrize(
    ("authorizations", "api_keys", "queried", "keys"),
    [
        ([f"Bearer {KEY}".encode()], [], [], [KEY]),
        ([f"bearer {KEY}".encode()], [], [], [KEY]),
        ([f"BEARER   {KEY} ".encode()], [], [], [KEY]),
        ([], [KEY.encode()], [], [KEY]),
        ([], [], [KEY], [KEY]),
        ([basic(f"me:{KEY}")], [], [], [KEY]),
        ([basic(f"{KEY}:")], [], [], [KEY]),
        ([basic(KEY)], [], [], [KEY]),
        ([basic(f"{KEY}:x")], [], [], [KEY]),
        ([basic(f"{KEY}:{KEY}")], [], [], [KEY]),
        ([basic(f"{KEY}:{OTHER}")], [], [], [KEY, OTHER]),
        ([basic("me:secret")], [], [], ["secret"]),
        ([basic("me:")], [], [], ["me"]),
        ([b"Basic !"], [], [], [""]),
        ([b"Basic"], [], [], [""]),
        ([f"Bearer {KEY}".encode()], [KEY.encode()], [KEY, KEY], [KEY]),
        ([f"Bearer {KEY}".encode()], [], [OTHER], [KEY, OTHER]),
        ([], [KEY.encode(), OTHER.encode()], [], [KEY, OTHER]),
        ([b"Digest x", b""], [], [], []),
        ([], [b"\xff"], [], ["\ufffd"]),
    ],
    ids=[
        *("bearer", "lower-case", "spaces", "x-api-key", "query", "basic-password", "basic-user", "basic-no-colon"),
        *("basic-user-and-more", "basic-twice", "basic-two", "basic-no-key", "basic-user-only", "basic-broken"),
        *("basic-empty", "the-same-in-all", "two-ways-two-keys", "two-headers", "other-schemes", "not-utf-8"),
    ],
)
def test_a_key_is_found_in_each_way_and_the_same_one_counts_once(
    authorizations: list[bytes], api_keys: list[bytes], queried: list[str], keys: list[str]
) -> None:
    shown = credentials_of(authorizations, api_keys, queried)
    assert (sorted(shown.keys), shown.token) == (sorted(keys), "")


def test_a_bearer_token_that_is_no_key_is_kept_apart() -> None:
    assert credentials_of([b"Bearer eyJ.x.y"], [], []) == Credentials((), "eyJ.x.y")
    assert credentials_of([b"Bearer a", b"Bearer b"], [], []).number == 2
    assert credentials_of([b"Bearer a", b"Bearer a"], [], []).number == 1
    assert credentials_of([b"Bearer a"], [], [KEY]).number == 2


def test_credentials_never_show_what_they_are() -> None:
    assert KEY not in repr(Credentials((KEY,), "token")) + str(Credentials((KEY,), "token"))
    assert NO_CREDENTIALS.number == 0


@pytest.mark.parametrize(
    ("query", "rest", "keys"),
    [
        (b"c=a&value=1", b"c=a&value=1", []),
        (b"c=a&value=1&key=k", b"c=a&value=1", ["k"]),
        (b"key=k&c=a", b"c=a", ["k"]),
        (b"c=a&key=k&value=1", b"c=a&value=1", ["k"]),
        (b"key=k", b"", ["k"]),
        (b"key=k&c=a&key=l&key=", b"c=a", ["k", "l", ""]),
        (b"c=a&&key=k&", b"c=a&&", ["k"]),
        (b"monkey=k&c=a", b"monkey=k&c=a", []),
        (b"key&c=a", b"key&c=a", []),
        (b"KEY=k", b"KEY=k", []),
        (b"key=pbk%5Fa", b"", ["pbk_a"]),
        (b"key=a=b", b"", ["a=b"]),
        (b"key=a+b", b"", ["a+b"]),
        (b"c=%FF&key=%FF", b"c=%FF", ["\ufffd"]),
        (b"?key=k&c=a", b"c=a", ["k"]),
        (b"?c=a&key=k?", b"?c=a", ["k"]),
        (b"", b"", []),
    ],
    ids=[
        *("none", "last", "first", "middle", "alone", "several", "empty-parts", "other-name", "no-value"),
        *("other-case", "encoded", "equals", "plus", "not-utf-8", "doubled", "trailing", "empty"),
    ],
)
def test_key_leaves_the_query_and_the_rest_stays_byte_for_byte(query: bytes, rest: bytes, keys: list[str]) -> None:
    assert extract_keys(query) == (rest, keys)


def test_the_key_at_the_end_of_a_url_that_ends_with_a_question_mark_is_the_key() -> None:
    query, credentials = shown_in(b"c=a&value=1&key=pbk_a_b?", [], b"")
    assert (query, credentials.keys) == (b"c=a&value=1", ("pbk_a_b",))


@given(st.lists(st.sampled_from([b"c=a", b"key=s3cr3t", b"", b"x=key", b"monkey=1", b"%6bey=1", b"a=key=s"])))
def test_nothing_else_of_a_query_is_touched(parts: list[bytes]) -> None:
    rest, _ = extract_keys(b"&".join(parts))
    kept = [part for part in parts if not part.startswith(b"key=")]
    assert rest == b"&".join(kept)
