"""Owns the rows about words and bodies: placeholders, damage by HTML, labels, tests, types of bodies, parameters."""

from urllib.parse import quote

from tests.dialects.rows import CLICK, URL, Body, Door, Row, stored, told

FORM, JSON, NDJSON, CSV = "application/x-www-form-urlencoded", "application/json", "application/x-ndjson", "text/csv"
MULTIPART = "multipart/form-data; boundary=xYz"
ZERO_GUID = "00000000-0000-0000-0000-000000000000"
PAIRED: tuple[Door, ...] = ("get", "form", "json", "ndjson", "array", "pixel", "check")  # where a name may stand twice

# What each preset calls the click id, the value, the goal and the transaction id.
NAMES: dict[str, tuple[str, str, str, str]] = {
    "ezmob": ("c", "value", "goal", "txid"),
    "voluum": ("cid", "payout", "et", "txid"),
    "redtrack": ("clickid", "sum", "type", ""),
    "keitaro": ("subid", "payout", "", "tid"),
    "binom": ("cnv_id", "payout", "", ""),
    "bemob": ("cid", "payout", "", "txid"),
    "tune": ("transaction_id", "amount", "goal_id", "conversion_unique_id"),
    "everflow": ("transaction_id", "amount", "event_id", "order_id"),
    "appsflyer": ("clickid", "event_revenue", "event_name", "event_id"),
    "adjust": ("click_id", "revenue_float", "event_name", "transaction_id"),
}

# Each preset with the placeholders of platforms that it may stand beside, and the mistake that is counted.
NO_IDS: dict[str, dict[str, str]] = {
    "ezmob": {"{click_id}": "unreplaced_macro", "undefined": "placeholder", "[[clickid]]": "unreplaced_macro"},
    "voluum": {"{externalid": "half_replaced_macro", "null": "placeholder", "%%CLICKID%%": "unreplaced_macro"},
    "redtrack": {"{{clickid}}": "unreplaced_macro", "None": "placeholder", "!!!awc!!!": "unreplaced_macro"},
    "keitaro": {"{subid}": "unreplaced_macro", "-": "placeholder", "#s1##s2#": "unreplaced_macro"},
    "binom": {"${clickid}": "unreplaced_macro", ZERO_GUID: "placeholder", "__CID__": "unreplaced_macro"},
    "bemob": {"abc_{subid}": "unreplaced_macro", "[object Object]": "placeholder", "clickid}": "half_replaced_macro"},
    "tune": {"<transaction_id>": "unreplaced_macro", "NaN": "placeholder", "%7Baff_sub%7D": "unreplaced_macro"},
    "everflow": {"||sub1||": "unreplaced_macro", "#N/A": "placeholder", "$sub1$": "unreplaced_macro"},
    "appsflyer": {"(clickid)": "unreplaced_macro", "(not set)": "placeholder", "~clickid~": "unreplaced_macro"},
    "adjust": {"@click_id@": "unreplaced_macro", "nil": "placeholder", ":click_id:": "unreplaced_macro"},
}
NO_ORDERS = ["undefined", "null", "{order_id}", "#REF!", "--", "[txid", "N/A", "(none)"]
ODD_IDS = [
    "_abc_",
    "$abc",
    "dGVzdA==",
    "a|b",
    "GA1.2.1234.5678",
    "{3F2504E0-4F89-41D3-9A0C-0305E82C3301}",
    "~w8CFj~",
    "0",
]
ODD_GOALS = ["(none)", "(direct)", "[VIP]", "null", "-", "undefined", "100%", "Level {1}"]


def _no_ids() -> list[Row]:
    """Return a row for each placeholder where a click id should be; its sender is told the name of its parameter."""
    return [
        told(
            preset,
            f"{NAMES[preset][0]}={quote(text)}&{NAMES[preset][1]}=1",
            "unexpanded_macro",
            NAMES[preset][0],
            mistake=mistake,
        )
        for preset, texts in NO_IDS.items()
        for text, mistake in texts.items()
    ]


def _no_orders() -> list[Row]:
    with_orders = [(preset, names) for preset, names in NAMES.items() if names[3]]
    return [
        told(
            preset,
            f"{click_id}=CLICK&{value}=1&{order}={quote(text)}",
            "unexpanded_macro",
            mistake=_MISTAKES.get(text, "placeholder"),
        )
        for number, (preset, (click_id, value, _, order)) in enumerate(with_orders)
        for text in (NO_ORDERS[number % 8], NO_ORDERS[(number + 3) % 8])
    ]


_MISTAKES = {"{order_id}": "unreplaced_macro", "[txid": "half_replaced_macro"}


def _odd_ids() -> list[Row]:
    """Return rows of real ids that look odd; the transaction id makes each a conversion of its own."""
    with_orders = [(preset, names) for preset, names in NAMES.items() if names[3]]
    return [
        stored(preset, f"{click_id}={quote(text)}&{value}=1&{order}=CLICK", click_id=text, transaction_id=CLICK)
        for number, (preset, (click_id, value, _, order)) in enumerate(with_orders)
        for text in (ODD_IDS[number % 8], ODD_IDS[(number + 3) % 8])
    ]


def _odd_goals() -> list[Row]:
    with_goals = [(preset, names) for preset, names in NAMES.items() if names[2]]
    rows = [
        stored(preset, f"{click_id}=CLICK&{value}=1&{goal}={quote(text)}", click_id=CLICK, goal=text)
        for number, (preset, (click_id, value, goal, _)) in enumerate(with_goals)
        for text in (ODD_GOALS[number % 8], ODD_GOALS[(number + 3) % 8])
    ]
    macros = ["{goal}", "%goal%", "[[goal]]", "{{event_name}}", "[goal]", "${goal}", "__GOAL__"]
    return rows + [
        told(
            preset,
            f"{click_id}=CLICK&{value}=1&{goal}={quote(macro)}",
            "unexpanded_macro",
            mistake="unreplaced_macro",
        )
        for macro, (preset, (click_id, value, goal, _)) in zip(macros, with_goals, strict=False)
    ]


OWN_PLACEHOLDERS = [
    told("placeholding", "c=nobody&value=1", "unexpanded_macro", "c", mistake="placeholder"),
    told("placeholding", "c=NoBody&value=1", "unexpanded_macro", mistake="placeholder"),
    told("placeholding", "c=CLICK&value=1&txid=nobody", "unexpanded_macro", mistake="placeholder"),
    stored("ezmob", "c=nobody&value=1&txid=CLICK", click_id="nobody"),
]
IN_URLS = [  # as they stand there, without an escape
    told("ezmob", "c=%clickid%&value=1", "unexpanded_macro", doors=URL, mistake="unreplaced_macro"),
    told("keitaro", "subid=%%SUBID%%&payout=1", "unexpanded_macro", doors=URL, mistake="unreplaced_macro"),
    told("voluum", "cid=a_%subid%&payout=1", "unexpanded_macro", doors=URL, mistake="unreplaced_macro"),
    told("ezmob", "c=CLICK&value=%payout%", "unexpanded_macro", doors=URL, mistake="unreplaced_macro"),
    stored("ezmob", "c=CLICK&value=1&device=%device%", doors=URL, click_id=CLICK, params={"device": "%device%"}),
]
HTML = [
    *(
        told(
            preset,
            f"{NAMES[preset][0]}={quote(text)}&{NAMES[preset][1]}=1",
            "invalid_click_id",
            "HTML",
            NAMES[preset][0],
            mistake="html_escaped",
        )
        for preset, text in [
            ("ezmob", "x¤cy=EUR"),
            ("voluum", "x®ion=US"),
            ("redtrack", "x\u00d7tamp=5"),
            ("keitaro", "x¬ify=1"),
            ("binom", "x§ion=a"),
            ("bemob", "x¶m=1"),
            ("tune", "x©=1"),
            ("everflow", "x&amp;b"),
        ]
    ),
    told("ezmob", "c=CLICK&value=1&goal=a%C2%AEion%3DUS", "invalid_encoding", "HTML", mistake="html_escaped"),
    told("ezmob", "c=CLICK&value=1&txid=7%C2%A4cy%3DEUR", "invalid_encoding", "HTML", mistake="html_escaped"),
    told("ezmob", "c=CLICK&value=1%C2%A4cy%3DEUR", "invalid_value", "HTML", mistake="html_escaped"),
    stored("ezmob", "c=x%C2%A4&value=1&txid=CLICK", click_id="x¤"),
]
TESTS = [
    *(stored("ezmob", f"c=CLICK&value=1&test={word}", is_test=1) for word in ("True", "TRUE", "yes", "Yes", "on", "1")),
    *(stored("keitaro", f"subid=CLICK&payout=1&test={word}", is_test=1) for word in ("true", "YES")),
    *(stored("ezmob", f"c=CLICK&value=1&test={word}", is_test=0, params={"test": word}) for word in ("0", "no", "off")),
]
LABELS = [
    told("ezmob", "c=CLICK&value=1&goal=a%0Ab", "invalid_encoding", "goal", "control character"),
    told("ezmob", "c=CLICK&value=1&txid=a%1Bb", "invalid_encoding", "transaction_id"),
    told("voluum", "cid=CLICK&payout=1&et=a%09b", "invalid_encoding", "control character"),
    told("tune", "transaction_id=CLICK&amount=1&goal_id=a%E2%80%A8b", "invalid_encoding", "line end"),
    told("ezmob", "c=a%0Ab&value=1", "invalid_click_id", mistake="whitespace"),
    stored("ezmob", "c=CLICK&value=1&note=a%0Ab", params={"note": "a\nb"}),
]
REPEATS = [
    stored("ezmob", "c=CLICK&c=CLICK&value=1", doors=PAIRED, click_id=CLICK),
    stored("keitaro", "subid=CLICK&payout=1.5&payout=1.50", doors=PAIRED, value="1.5"),
    stored("voluum", "cid=CLICK&payout=1&currency=USD&currency=USD", doors=PAIRED, currency="USD"),
    stored("ezmob", "c=CLICK&value=1&x=1&x=1", doors=PAIRED, params={"x": ["1", "1"]}),
    told("ezmob", "c=CLICK&c=b&value=1", "repeated_parameter", doors=PAIRED),
    told("keitaro", "subid=CLICK&payout=1&payout=2", "repeated_parameter", doors=PAIRED),
    stored("ezmob", "c=CLICK&value=1" + "".join(f"&x{number}=" for number in range(254)), doors=PAIRED),
    told("ezmob", "c=CLICK&value=1" + "".join(f"&x{number}=1" for number in range(255)), "too_many_parameters"),
]
AS_JSON, AS_FORM = b'{"c":"CLICK","value":1.50}', b"c=CLICK&value=1.50"
AS_PARTS = b"".join(
    b'--xYz\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % pair
    for pair in ((b"c", b"CLICK"), (b"value", b"1.50"))
)


def _body(content: bytes, content_type: str, path: str = "/postback", *, of: str = "ezmob", **columns: object) -> Row:
    return Row(of, Body(content, content_type, path), "stored", ("json",), {"value": "1.50", **columns})


BODIES = [
    *(
        _body(AS_JSON, said, click_id=CLICK)
        for said in ("application/json; charset=utf-8;", 'APPLICATION/JSON;charset="UTF-8"')
    ),
    *(
        _body(AS_JSON, said, click_id=CLICK)
        for said in ("", "text/plain;charset=UTF-8", "text/json", "application/ld+json", FORM)
    ),
    *(
        _body(AS_JSON, said, click_id=CLICK)
        for said in ("application/json; charset=iso-8859-1", "application/octet-stream")
    ),
    *(
        _body(AS_FORM, said, click_id=CLICK)
        for said in ("", "text/plain", f"{FORM}; charset=UTF-8;", JSON, FORM.upper())
    ),
    *(
        _body(AS_PARTS + b"--xYz--\r\n", said, click_id=CLICK)
        for said in (MULTIPART, MULTIPART.replace("xYz", '"xYz"'))
    ),
    _body(b"\xef\xbb\xbf\r\n " + AS_JSON, JSON),
    _body(AS_FORM + b"\r\n", FORM),
    _body(b'{"c":"CLICK","value":1.50,"custom":{ "a" : [1.50, null] }}', JSON, params={"custom": '{"a":[1.50,null]}'}),
    _body(b'{"c":"CLICK","value":1.50,"list":[]}', JSON, params={"list": "[]"}),
    _body(b'{"c":"CLICK","value":1.50,"test":true}', JSON, is_test=1),
    _body(b'{"subid":"CLICK","payout":1.50,"ok":true}', JSON, of="keitaro", params={"ok": "true"}),
    _body(b"[%b]" % AS_JSON, "", "/postbacks"),
    _body(AS_JSON + b"\n", "text/plain", "/postbacks"),
    _body(AS_JSON + b"\n", "application/jsonl; charset=utf-8;", "/postbacks"),
    _body(b'{"c":"CLICK","value":1.50,"custom":{"a":1}}\n', NDJSON, "/postbacks", params={"custom": '{"a":1}'}),
    _body(b"c,value\nCLICK,1.50\n", "text/csv; charset=utf-8; header=present", "/postbacks"),
    _body(b"c,value\nCLICK,1.50\n", "", "/postbacks"),
    _body(b"c,value\nCLICK,1.50\n", "application/csv", "/postbacks"),
    _body(b'{"c":"q-0","value":1.5}', JSON, "/postback?c=q-0&value=1.50"),
]
UNREAD = [
    stored(
        "ezmob",
        Body(content, said, f"/postback?c=q-{number}&value=2"),
        doors=("json",),
        mistake="unread_body",
        click_id=f"q-{number}",
        value="2",
        params={},
    )
    for number, (content, said) in enumerate(
        [
            (b"<x/>", "application/xml"),
            (b"{", JSON),
            (b"hello", ""),
            (b'{"x":"\xff"', JSON),
            (b"x", MULTIPART),
            (b"[]", JSON),
        ],
        1,
    )
]
NO_BODIES = [
    *(
        told("ezmob", Body(content, JSON), outcome, words, doors=("json",), mistake=mistake)
        for content, outcome, words, mistake in [
            (b'{"c":true,"value":1}', "invalid_click_id", "neither text nor a number", None),
            (b'{"c":{"id":"a"},"value":1}', "invalid_click_id", "neither text nor a number", None),
            (b'{"c":["a"],"value":1}', "invalid_click_id", "neither text nor a number", None),
            (b'{"c":"CLICK","value":[1]}', "invalid_value", "neither text nor a number", None),
            (b'{"c":"CLICK","value":1,"goal":{"a":1}}', "malformed_body", "neither text nor a number", None),
            (b'{"c":"CLICK","value":1,"txid":false}', "malformed_body", "neither text nor a number", None),
            (b'{"c":"{click_id}","value":1}', "unexpanded_macro", "c", "unreplaced_macro"),
            (b'[{"c":"CLICK","value":1}]', "malformed_body", "not an object", None),
        ]
    ),
    told("ezmob", Body(AS_JSON, "application/xml"), "unsupported_media_type", "application/json", doors=("json",)),
    told("ezmob", Body(b"hello", ""), "unsupported_media_type", "neither JSON nor a form", doors=("json",)),
    told("ezmob", Body(AS_JSON, f"{JSON}; charset=utf-16"), "unsupported_media_type", "send UTF-8", doors=("json",)),
    told("ezmob", Body(AS_PARTS, MULTIPART), "malformed_body", "no end", doors=("json",)),
    told("ezmob", Body(AS_JSON, JSON, "/postback?c=other"), "repeated_parameter", doors=("json",)),
]
ROWS: list[Row] = [
    *(*_no_ids(), *_no_orders(), *_odd_ids(), *_odd_goals(), *OWN_PLACEHOLDERS, *IN_URLS, *HTML, *TESTS, *LABELS),
    *(*REPEATS, *BODIES, *UNREAD, *NO_BODIES),
]
