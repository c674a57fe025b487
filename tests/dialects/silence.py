"""Owns the rows about what was sent under another name, and about what a sender is told: nothing is lost in silence."""

from tests.dialects.rows import UNSHEETED, URL, WRITING, Body, Row, stored, told

OTHER, CASE = "other_name", "wrong_case"
JSON, CSV = "application/json", "text/csv"

VALUES: list[Row] = [
    *(
        stored("keitaro", f"subid=CLICK&status=sale&{sent}", value="", mistake=OTHER)
        for sent in ("amount=%7Bamount%7D", "sum=%5BSUM%5D", "amount=amount", "total=%24%7Btotal%7D")
    ),
    *(
        stored("voluum", f"cid=CLICK&{name}=7", value="", mistake=OTHER, params={name: "7"})
        for name in ("total", "cpa", "usd", "income", "earnings", "reward", "conversion_value", "total_amount")
    ),
    *(stored("redtrack", f"clickid=CLICK&sum=0&{name}=10", value="0", mistake=OTHER) for name in ("payout", "total")),
    stored("keitaro", "subid=CLICK&revenue=10&payout=0.00", value="0.00", mistake=OTHER, params={"revenue": "10"}),
    stored("ezmob", "c=CLICK&value=0&payout=10", value="0", mistake=OTHER),
    stored("keitaro", "subid=CLICK&tid=a%26amount=10", value="", transaction_id="a&amount=10", mistake=OTHER),
    stored("voluum", "cid=CLICK&et=a%3Brevenue=10", value="", goal="a;revenue=10", mistake=OTHER),
    stored("keitaro", "subid=CLICK&payout=3&tid=a%26amount=10", value="3", transaction_id="a&amount=10"),
    stored("keitaro", "subid=CLICK&payout=3&total=7", value="3"),
    stored("voluum", "cid=CLICK&total=0", value=""),
]
STATUSES: list[Row] = [
    stored("ezmob", "c=CLICK&value=5&status=refunded", conversion_status=None, mistake=OTHER),
    stored("ezmob", "c=CLICK&value=5&cnv_status=Trash", conversion_status=None, mistake=OTHER),
    stored(
        "keitaro", "subid=CLICK&payout=5&conversion_status=lead", conversion_status=None, mistake=OTHER, doors=UNSHEETED
    ),
    stored("voluum", "cid=CLICK&payout=5&status=refunded", conversion_status=None, mistake=OTHER),
    stored("ezmob", "c=CLICK&value=5&status=in+transit", conversion_status=None),
    stored("ezmob", "c=CLICK&value=5&conversion_status=approved&status=ok", conversion_status="approved"),
    told(
        "ezmob",
        "c=CLICK&value=5&status=refunded",
        "conflict",
        "Send the conversion status as conversion_status: status is what others call it",
        before=["c=CLICK&value=5"],
        doors=WRITING,
    ),
    stored(
        "ezmob",
        "c=CLICK&value=5&status=sale",
        before=["c=CLICK&value=5&status=sale"],
        outcome="duplicate",
        doors=("get", "form", "json", "ndjson", "array", "csv", "pixel"),
        mistake=OTHER,
    ),
]
OTHERS: list[Row] = [
    *(
        stored("ezmob", f"c=CLICK&value=5&{sent}", currency=None, mistake=OTHER)
        for sent in ("cur=usd", "currency_code=EUR", "cnv_currency=USD", "ccy=gbp")
    ),
    stored("binom", "cnv_id=CLICK&payout=5&currency=EUR", currency=None, mistake=OTHER, doors=UNSHEETED),
    stored("ezmob", "c=CLICK&value=5&cur=12", currency=None),
    stored("ezmob", "c=CLICK&value=5&currency=USD&cur=eur", currency="USD"),
    *(
        stored("ezmob", f"c=CLICK&value=5&{sent}", transaction_id="", mistake=OTHER)
        for sent in ("order_id=5", "tid=5", "orderid=5", "order_number=5")
    ),
    stored("binom", "cnv_id=CLICK&payout=5&txid=5", transaction_id="", mistake=OTHER),
    stored("ezmob", "c=CLICK&value=5&order_id=null", transaction_id=""),
    stored("ezmob", "c=CLICK&value=5&txid=1&order_id=5", transaction_id="1"),
    stored("ezmob", "c=CLICK&value=5&Test=1", is_test=0, mistake=CASE),
    stored("keitaro", "subid=CLICK&payout=5&TEST=true", is_test=0, mistake=CASE),
    stored("ezmob", "c=CLICK&value=5&Test=0", is_test=0),
]
TOLD: list[Row] = [
    told(
        "appsflyer",
        "clickid=CLICK&event_revenue_USD=5+EUR",
        "invalid_value",
        "event_revenue_USD is always in USD",
        "event_revenue with event_revenue_currency=EUR",
        mistake="currency_sign",
        doors=UNSHEETED,
    ),
    told(
        "appsflyer",
        "clickid=CLICK&event_revenue_USD=5+USD",
        "invalid_value",
        "Send the bare number in event_revenue_USD: it is always in USD.",
        never=("event_revenue_currency",),
        doors=UNSHEETED,
    ),
    told(
        "keitaro", "subid=%7Bconversion%7D&payout=1", "unexpanded_macro", "a macro that the platform", never=("EZmob",)
    ),
    told("voluum", "conversion=abc&payout=1", "missing_click_id", "Send the click id as cid", never=("EZmob",)),
    told(
        "ezmob", "c=%7Bconversion%7D&value=1", "unexpanded_macro", "EZmob's tracking link", mistake="conversion_macro"
    ),
    *(
        told("ezmob", Body(content), outcome, words, never=("512 bytes", "no spaces"), doors=("json",))
        for content, outcome, words in [
            (b'{"c":false,"value":1}', "invalid_click_id", "Send c as a text or a number"),
            (b'{"c":{"id":"a b"},"value":1}', "invalid_click_id", "Send c as a text or a number"),
            (b'{"c":"CLICK","value":{"a":1}}', "invalid_value", "Send value as a text or a number"),
            (b'{"c":"CLICK","value":1,"currency":["USD"]}', "invalid_currency", "Send currency as a text"),
        ]
    ),
    told(
        "worded",
        "cnv_id=CLICK&payout=1&cnv_status=signup",
        "invalid_status",
        "in a word that is set up (wait, ftd, rejected, refunded)",
        mistake="unknown_status",
    ),
    *(
        told(
            "ezmob",
            Body(content, CSV, "/postbacks"),
            "missing_click_id",
            f"Separate the columns by commas: this header has {called}",
            doors=("csv",),
            mistake="broken_separator",
        )
        for content, called in [
            (b"c;value\na;1\n", "semicolons"),
            (b"c\tvalue\na\t1\n", "tabs"),
            (b"value;c;note\n1;a;b\n", "semicolons"),
        ]
    ),
    told("ezmob", Body(b"c;value\na;1,50\n", CSV, "/postbacks"), "malformed_body", "semicolon", doors=("csv",)),
]
GOALS: list[Row] = [
    *(
        told("ezmob", f"c=CLICK&value=1&goal={goal}", "unexpanded_macro", "goal", mistake="half_replaced_macro")
        for goal in ("%7Bclickid", "%7Bevent_name", "%7Bsub1%7Clower")
    ),
    *(
        told("ezmob", f"c=CLICK&value=1&goal={goal}", "unexpanded_macro", mistake="unreplaced_macro")
        for goal in ("%7Bsub1%7Clower%7D", "%7Bgoal+%7C+default%28x%29%7D", "a_%7Bsub1%7Cupper%7D")
    ),
    told("ezmob", "c=%7Bsub1%7Clower%7D&value=1", "unexpanded_macro", mistake="unreplaced_macro"),
    told(
        "ezmob", "c=CLICK&value=%7Bpayout%7Cround%7D", "unexpanded_macro", mistake="unreplaced_macro", doors=UNSHEETED
    ),
    *(
        stored("ezmob", f"c=CLICK&value=1&goal={goal}", goal=text)
        for goal, text in [("sale%7D", "sale}"), ("%7B1", "{1")]
    ),
    stored("ezmob", "c=CLICK&value=1&goal=Level+%7B1%7D", goal="Level {1}"),
]
NAMED: list[Row] = [  # hints in the log line of what is accepted name the parameter that was sent
    stored(
        "keitaro",
        "subid=CLICK&revenue=836.9999999999998",
        doors=("get", "form", "json", "ndjson", "array", "csv"),
        mistake="rounded_amount",
        words=("Send revenue with six decimals",),
    ),
    stored("adjust", "click_id=CLICK&revenue=345", doors=URL[:1], mistake=OTHER, words=("which is in whole units",)),
]
ROWS: list[Row] = [*VALUES, *STATUSES, *OTHERS, *TOLD, *GOALS, *NAMED]
