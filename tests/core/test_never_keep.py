"""Never-keep: values of parameters that their sender wants nobody to keep are dropped, and all else stays."""

import gzip
import time

import pytest

from service.core.never_keep import dropped, is_named
from tests.support import builders

NAMES = frozenset({"email", "phone"})
SECRET = "jane@example.com"
FORM, JSON, NDJSON, CSV = "application/x-www-form-urlencoded", "application/json", "application/x-ndjson", "text/csv"
PARTS = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (f"c=a&email={SECRET}&value=1", "c=a&email=&value=1"),
        (f"c=a&EMail={SECRET}", "c=a&EMail="),
        (f"c=a&%65mail={SECRET}", "c=a&%65mail="),
        (f"c=a&%2565mail={SECRET}&x=1", "c=a&%2565mail=&x=1"),
        (f"c=a&amp;email={SECRET}", "c=a&amp;email="),
        (f"c=a&user[email]={SECRET}", "c=a&user[email]="),
        (f"c=a&user%5Bemail%5D={SECRET}", "c=a&user%5Bemail%5D="),
        (f"c=a;phone=1;email={SECRET}", "c=a;phone=;email="),
        (f"email={SECRET}&email={SECRET}", "email=&email="),
        (f"c=a&+email+={SECRET}", "c=a&+email+="),
        ("c=a&mail=b&emails=1&email&email=", "c=a&mail=b&emails=1&email&email="),
        ("c=a&x=%zz&e=1", "c=a&x=%zz&e=1"),
    ],
)
def test_values_in_a_query_or_form_are_dropped_and_names_stay(sent: str, kept: str) -> None:
    assert dropped(builders.raw(query=sent.encode()), NAMES).query.decode() == kept
    posted = dropped(builders.raw(method="POST", query=b"", body=sent.encode(), content_type=FORM), NAMES)
    assert posted.body.decode() == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('{"c":"a","email":"me","value":1.50}', '{"c":"a","email":"","value":1.50}'),
        (r'{"c":"a","\u0065MAIL" : "m\"e", "value":1}', r'{"c":"a","\u0065MAIL" : "", "value":1}'),
        ('{"user":{"email":{"work":["me"],"x":{}},"phone":123},"c":"a"}', '{"user":{"email":"","phone":""},"c":"a"}'),
        ('[{"email":["me"]},{"phone":null}]', '[{"email":""},{"phone":""}]'),
        ('{"email":"me"}\n{"email":true}\n', '{"email":""}\n{"email":""}\n'),
        ('{"c":"a","email":"me', '{"c":"a","email":""'),
        ('{"c":"a","email":{"x":["me"', '{"c":"a","email":""'),
        ('{"c":"a","email":me at home,"value":1}', '{"c":"a","email":"","value":1}'),
        ("{'c':'a','email':'me','value':1}", "{'c':'a','email':\"\",'value':1}"),
        ('{"email":,"c":"a"}', '{"email":,"c":"a"}'),
        ('{"email":}', '{"email":}'),
        ('{"c":"email","x":["email","phone"]}', '{"c":"email","x":["email","phone"]}'),
    ],
)
def test_members_of_json_are_emptied_at_any_depth_and_in_what_is_broken(sent: str, kept: str) -> None:
    for said in (JSON, NDJSON, "text/plain", FORM):
        raw = builders.raw(method="POST", query=b"", body=sent.encode(), content_type=said)
        assert dropped(raw, NAMES).body.decode() == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("c,email,value\na,me,1\n", "c,email,value\na,,1\n"),
        ('c,"E-mail",Email\r\na,b,"m,""e\n1"\r\nc,d,me', 'c,"E-mail",Email\r\na,b,\r\nc,d,'),
        ("c;phone;value\na;1;1,5\n", "c;phone;value\na;;1,5\n"),
        ("c,value\na,email\n", "c,value\na,email\n"),
    ],
)
def test_cells_of_csv_are_emptied(sent: str, kept: str) -> None:
    raw = builders.raw(door="batch", method="POST", query=b"", body=sent.encode(), content_type=CSV)
    assert dropped(raw, NAMES).body.decode() == kept


def test_parts_of_a_multipart_form_are_emptied() -> None:
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = part.format("c", "a") + part.format("Email", SECRET) + part.format("value", "1") + "--b--"
    for said in (PARTS, "text/plain"):
        raw = builders.raw(method="POST", query=b"", body=body.encode(), content_type=said)
        assert dropped(raw, NAMES).body.decode() == body.replace(SECRET, "")


def test_what_is_packed_or_in_utf_16_is_searched_too() -> None:
    body = b'{"c":"a","email":"%b"}' % SECRET.encode()
    packed = builders.raw(method="POST", body=gzip.compress(body), content_type=JSON, content_encoding="gzip")
    wide = builders.raw(method="POST", body=body.decode().encode("utf-16"), content_type=JSON)
    for raw in (packed, wide):
        assert dropped(raw, NAMES).body.strip(b"\xef\xbb\xbf") == b'{"c":"a","email":""}'


def test_what_is_too_large_stays_too_large() -> None:
    raw = builders.raw(method="POST", query=b"", body=b"email=" + b"a" * 70_000, content_type=FORM)
    assert len(dropped(raw, NAMES).body) == 64 * 1024 + 1


def test_without_names_nothing_is_touched() -> None:
    raw = builders.raw(query=b"c=a&email=me")
    assert dropped(raw, frozenset()) is raw
    assert not is_named("emails", NAMES)


@pytest.mark.parametrize(
    "again", ["email=", "email", "&", "%25", "[", '"email":', '{"email":', '"', "\\", ",", "a,", '""', "\n"]
)
@pytest.mark.parametrize("said", [FORM, JSON, CSV, PARTS])
def test_dropping_is_linear(again: str, said: str) -> None:
    def seconds(size: int) -> float:
        raw = builders.raw(method="POST", query=b"", content_type=said, body=(again * size)[:size].encode())
        best = float("inf")
        for _ in range(3):
            began = time.thread_time()
            dropped(raw, NAMES)
            best = min(best, time.thread_time() - began)
        return best

    assert seconds(32 * 1024) < 8 * max(seconds(8 * 1024), 0.0005)
