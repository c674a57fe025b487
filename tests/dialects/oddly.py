"""Owns the rows about what is read although it is written oddly: escapes, separators, white space, words for none."""

from tests.dialects.rows import CLICK, UNSHEETED, URL, WRITING, Body, Door, Row, stored, told

FORM, JSON, NDJSON, CSV = "application/x-www-form-urlencoded", "application/json", "application/x-ndjson", "text/csv"
ENCODED: tuple[Door, ...] = (*URL, "form")  # what has escapes
BROKEN = "broken_encoding"
PART = b'--xYz\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'


def parts(*pairs: tuple[bytes, bytes], more: bytes = b"") -> bytes:
    """Return a multipart form."""
    return b"".join(PART % pair for pair in pairs) + more + b"--xYz--\r\n"


def kept(content: bytes, said: str, text: str, path: str = "/postback", name: str = "city") -> Row:
    """Return a row of a body in which a parameter that no field is read from cannot be decoded."""
    return stored(
        "ezmob", Body(content, said, path), doors=("json",), mistake=BROKEN, click_id=CLICK, params={name: text}
    )


FOREIGN: list[Row] = [
    *(
        stored(
            "ezmob",
            f"c=CLICK&value=1&{name}={sent}",
            doors=ENCODED,
            mistake=BROKEN,
            value="1",
            click_id=CLICK,
            params={name: sent},
        )
        for name, sent in [
            ("city", "M%FCnchen"),
            ("p", "100%"),
            ("p", "100%+off"),
            ("p", "%zz"),
            ("u", "a%00b"),
            ("%FF", "1"),
            ("50%", "1"),
            ("x", "a_%sub%"),
            ("test", "%FF"),
        ]
    ),
    stored("keitaro", "subid=CLICK&payout=1&city=K%F6ln", doors=ENCODED, mistake=BROKEN, params={"city": "K%F6ln"}),
    stored("keitaro", "subid=CLICK&payout=5&revenue=%FF", doors=ENCODED, mistake=BROKEN, params={"revenue": "%FF"}),
    stored("keitaro", "subid=CLICK&amount=5&city=K%F6ln", doors=ENCODED, mistake="other_name", value=""),
    kept(b"c=CLICK&value=1&city=M\xfcnchen", FORM, "M%FCnchen"),
    kept(b'{"c":"CLICK","value":1,"city":"M\xfcnchen"}', JSON, "M%FCnchen"),
    kept(rb'{"c":"CLICK","value":1,"city":"\ud83d"}', JSON, r"\ud83d"),
    kept(rb'{"c":"CLICK","value":1,"city":"a\u0000b"}', JSON, r"a\u0000b"),
    kept(b'{"c":"CLICK","value":1,"city":{"a":"\xfc"}}', JSON, '{"a":"%FC"}'),
    kept(b'{"c":"CLICK","value":1,"\xfc":"a"}', JSON, "a", name="%FC"),
    kept(b'[{"c":"CLICK","value":1,"city":"M\xfcnchen"}]', JSON, "M%FCnchen", "/postbacks"),
    kept(b'{"c":"CLICK","value":1,"city":"M\xfcnchen"}\n', NDJSON, "M%FCnchen", "/postbacks"),
    kept(b"c,value,city\nCLICK,1,M\xfcnchen\n", CSV, "M%FCnchen", "/postbacks"),
    kept(b'c,value,city\nCLICK,1,"M\xfcnchen, DE"\n', CSV, "M%FCnchen, DE", "/postbacks"),
    kept(
        parts((b"c", b"CLICK"), (b"value", b"1"), (b"city", b"M\xfcnchen")),
        "multipart/form-data; boundary=xYz",
        "M%FCnchen",
    ),
    *(
        told("ezmob", f"c=CLICK&value=1&{name}=a%FF", "invalid_encoding", name, "UTF-8", doors=ENCODED)
        for name in ("currency", "goal", "txid", "conversion_status")
    ),
    *(
        told("ezmob", query, "invalid_encoding", doors=ENCODED)
        for query in ("c=a%FFb&value=1", "c=a%&value=1", "c=CLICK&value=1%", "c=a%00&value=1", "c=CLICK&value=%FF")
    ),
    *(
        told("ezmob", Body(content, said, path), "invalid_encoding", doors=("json",))
        for content, said, path in [
            (b'{"c":"a\xff","value":1}', JSON, "/postback"),
            (rb'{"c":"a\ud800","value":1}', JSON, "/postback"),
            (b'[{"c":"a\xff","value":1}]', JSON, "/postbacks"),
            (b"c,value\na\xff,1\n", CSV, "/postbacks"),
            (parts((b"c", b"a\xff"), (b"value", b"1")), "multipart/form-data; boundary=xYz", "/postback"),
        ]
    ),
    told("ezmob", "c=a%2525&c=a%25%&value=1", "repeated_parameter", doors=ENCODED),
]
SEPARATED: list[Row] = [
    *(
        stored("keitaro", query, doors=ENCODED, click_id=CLICK, value="5", params={})
        for query in (
            "?subid=CLICK&payout=5",
            "??payout=5&subid=CLICK",
            "&subid=CLICK&payout=5",
            "?&subid=CLICK&payout=5",
            "subid=CLICK&&payout=5",
            "subid=CLICK&payout=5&",
            "subid=CLICK&payout=5?",
            "payout=5&subid=CLICK?",
            "subid=CLICK&payout=5&?",
            "?subid=CLICK&payout=5??",
        )
    ),
    stored("ezmob", "c=CLICK&value=1&goal=why%3F", goal="why?"),
    stored("ezmob", Body(b"?c=CLICK&value=1", "text/plain"), doors=("json",), click_id=CLICK, params={}),
]
WHITE: list[Row] = [
    *(
        stored("ezmob", f"c={sent}&value=1", doors=UNSHEETED, mistake="whitespace", click_id=CLICK)
        for sent in ("%20CLICK", "CLICK+", "CLICK%0D%0A")
    ),
    *(
        stored("ezmob", f"c=CLICK&value=1&txid={sent}", doors=UNSHEETED, mistake="whitespace", transaction_id="5")
        for sent in ("%205", "5+", "%095", "5%C2%A0", "5%E2%80%8B")
    ),
    stored("ezmob", "c=CLICK&value=1&goal=lead%20", doors=UNSHEETED, mistake="whitespace", goal="lead"),
    stored("voluum", "cid=CLICK&payout=1&et=+a+b+", doors=UNSHEETED, mistake="whitespace", goal="a b"),
    *(
        stored(
            "ezmob",
            f"c=CLICK&value=1&txid={later}",
            before=[f"c=CLICK&value=1&txid={first}"],
            outcome="duplicate",
            doors=tuple(door for door in WRITING if door not in ("import", "sheet")),
            mistake="whitespace" if later != "5" else None,
        )
        for first, later in (("5", "%205"), ("%205", "5"), ("5", "5+"))
    ),
    stored("ezmob", "c=CLICK&c=%20CLICK&value=1", doors=("get", "form", "json"), click_id=CLICK, params={}),
    told("ezmob", "c=%20&value=1", "missing_click_id", "empty"),
    told("ezmob", "c=%E2%80%8B&value=1", "missing_click_id", "empty"),
    stored("ezmob", "c=CLICK&value=1&transaction_id=%E2%80%8B&txid=5", doors=("get", "form"), transaction_id="5"),
    told("ezmob", "c=a%20b&value=1", "invalid_click_id", "spaces"),
    told("ezmob", "c=CLICK&value=1&txid=a%0Ab", "invalid_encoding"),
    told("ezmob", "c=CLICK&value=1&txid=%20null", "unexpanded_macro", mistake="placeholder"),
    *(stored("ezmob", f"c=CLICK&value=1&test={word}", is_test=1, params={}) for word in ("%201", "true%20", "+YES+")),
]
NONE: list[Row] = [
    *(
        stored(
            "keitaro",
            f"subid=CLICK&payout={word}",
            doors=UNSHEETED,
            mistake="placeholder",
            value="",
            value_micros=0,
            params={"payout": word},
        )
        for word in ("null", "undefined", "None", "NaN", "N/A", "nil", "NULL")
    ),
    stored("relaxed", "c=CLICK&value=null", doors=UNSHEETED, mistake="placeholder", value=""),
    *(
        stored("keitaro", query, doors=UNSHEETED, mistake="placeholder", value="5", params={name: "null"})
        for query, name in (
            ("subid=CLICK&payout=null&revenue=5", "payout"),
            ("subid=CLICK&revenue=5&payout=null", "payout"),
            ("subid=CLICK&payout=5&revenue=null", "revenue"),
        )
    ),
    stored("demanding", "subid=CLICK&payout=null&revenue=5", doors=UNSHEETED, mistake="placeholder", value="5"),
    stored("keitaro", "subid=CLICK&payout=null&payout=5", doors=("get", "form", "json"), value="5", params={}),
    stored("keitaro", "subid=CLICK&payout=5&payout=null", doors=("get", "form", "json"), value="5", params={}),
    stored("ezmob", "c=CLICK&value=1&currency=USD&currency=null", doors=("get", "form"), currency="USD", params={}),
    stored("keitaro", "subid=CLICK&payout=5&revenue=5", value="5", params={"revenue": "5"}),
    told("keitaro", "subid=CLICK&payout=5&payout=6&revenue=null", "repeated_parameter", doors=("get", "form")),
    *(
        stored(
            "ezmob",
            f"c=CLICK&value=1&currency={word}",
            mistake="placeholder",
            currency=None,
            value="1",
            params={"currency": word},
        )
        for word in ("null", "undefined", "None", "N/A")
    ),
    *(
        stored(
            sender,
            f"cnv_id=CLICK&payout=1&cnv_status={word}",
            mistake="placeholder",
            conversion_status=None,
            params={"cnv_status": word},
        )
        for sender in ("binom", "strict")
        for word in ("null", "undefined")
    ),
    stored(
        "keitaro",
        "subid=CLICK&payout=5&status=null",
        before=["subid=CLICK&payout=5&status=sale"],
        outcome="duplicate",
        doors=WRITING,
        mistake="placeholder",
    ),
    stored(
        "keitaro",
        "subid=CLICK&payout=null&status=rejected",
        before=["subid=CLICK&payout=5&status=sale"],
        outcome="updated",
        doors=tuple(door for door in WRITING if door != "sheet"),
        mistake="placeholder",
    ),
    told("ezmob", "c=CLICK&value=null", "invalid_value", "Send the real value", doors=UNSHEETED, mistake="placeholder"),
    told("demanding", "subid=CLICK&payout=undefined", "invalid_value", "Send the real payout", doors=UNSHEETED),
    told("keitaro", "subid=CLICK&payout={payout}", "unexpanded_macro", doors=UNSHEETED),
    told("keitaro", "subid=CLICK&payout=payout", "unexpanded_macro", doors=UNSHEETED),
    told("keitaro", "subid=CLICK&payout=free", "invalid_value", doors=UNSHEETED),
]
NUMBERS: list[Row] = [
    *(
        stored(
            sender,
            Body(content % ((name, b"CLICK", value, number)), path=path),
            doors=("json",),
            value=number.decode(),
            value_micros=micros,
            click_id=CLICK,
        )
        for sender, name, value in (("comma", b"c", b"value"), ("keitaro-comma", b"subid", b"payout"))
        for number, micros in ((b"1.5", 1_500_000), (b"2", 2_000_000), (b"1.25e1", 12_500_000), (b"-0.5", -500_000))
        for content, path in ((b'{"%b":"%b","%b":%b}', "/postback"), (b'[{"%b":"%b","%b":%b}]', "/postbacks"))
    ),
    stored(
        "comma",
        Body(b'{"c":"CLICK","value":836.9999999999998}'),
        doors=("json",),
        mistake="rounded_amount",
        value_micros=837_000_000,
    ),
    told("comma", Body(b'{"c":"CLICK","value":"1.5"}'), "invalid_value", "decimal comma", doors=("json",)),
    told("comma", Body(b'{"c":"CLICK","value":1e99}'), "invalid_value", doors=("json",)),
    stored("cents", Body(b'{"c":"CLICK","value":150}'), doors=("json",), value_micros=1_500_000),
    told("cents", Body(b'{"c":"CLICK","value":1.5}'), "invalid_value", "whole cents", doors=("json",)),
    told("cents", Body(b'{"c":"CLICK","value":150.0}'), "invalid_value", "whole cents", doors=("json",)),
]
FILE = b'--xYz\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\nContent-Type: text/plain\r\n\r\n%b\r\n'
SALE = ((b"c", b"CLICK"), (b"value", b"1.50"))
PARTED: list[Row] = [
    stored(
        "ezmob",
        Body(parts(*SALE, more=FILE % (b"upload", b"", b"")), "multipart/form-data; boundary=xYz"),
        doors=("json",),
        value="1.50",
        params={"upload": ""},
    ),
    stored(
        "ezmob",
        Body(parts(*SALE, more=FILE % (b"goal", b"", b"")), "multipart/form-data; boundary=xYz"),
        doors=("json",),
        goal="",
        params={},
    ),
    *(
        told(
            "ezmob",
            Body(parts(*SALE, more=FILE % file), "multipart/form-data; boundary=xYz"),
            "malformed_body",
            "is a file",
            doors=("json",),
        )
        for file in ((b"upload", b"a.txt", b"a"), (b"upload", b"a.txt", b""), (b"upload", b"", b"a"))
    ),
    *(
        stored("ezmob", Body(parts(*SALE), said), doors=("json",), click_id=CLICK, value="1.50")
        for said in ("", "text/plain", "text/plain;charset=UTF-8", "multipart/form-data", FORM, JSON)
    ),
]
ROWS: list[Row] = [*FOREIGN, *SEPARATED, *WHITE, *NONE, *NUMBERS, *PARTED]
