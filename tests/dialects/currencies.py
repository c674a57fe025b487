"""Owns the rows about currencies: any case is read, canonical is counted, what was sent is kept."""

from urllib.parse import quote_plus

from tests.dialects.rows import WRITING, Body, Row, cells, stored, told

WRITTEN = [
    "USD",
    "usd",
    "Usd",
    "eur",
    "EUR ",
    " eur",
    "rub",
    "gbp",
    "jpy",
    "xau",
    "chf",
    "brl",
    "kzt",
    "uah",
    "inr",
    "Ngn",
]
ALLOWED = ("USDT", "usdt", "BTC", "btc ", "HRK", "hrk")
RETIRED = ("HRK", "hrk", "RUR", "EEK", "LTL", "LVL", "SKK", "BYR", "DEM", "ROL", "USDT", "usdc", "BTC", "eth")
WRONG: dict[str, str] = {
    "$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "USD",  # yen or yuan: the usual example
    "₽": "RUB",
    "US": "USD",
    "EURO": "USD",
    "840": "USD",
}


def kept(sender: str, text: str) -> Row:
    """Return a row whose currency is stored as a code, and what was sent beside it."""
    code = text.strip().upper()
    params = {} if text == code else {"currency": text}
    return stored(
        sender, f"c=CLICK&value=1&currency={quote_plus(text)}", currency=code, params=params, doors=cells(text)
    )


def again(first: str, later: str) -> Row:
    """Return a row of the same currency, written otherwise."""
    before = [f"c=CLICK&value=1&currency={first}"]
    return stored("ezmob", f"c=CLICK&value=1&currency={later}", before=before, outcome="duplicate", doors=WRITING)


ROWS: list[Row] = [
    *(kept("ezmob", text) for text in WRITTEN),
    *(kept("crypto", text) for text in ALLOWED),
    *(
        told(
            "ezmob",
            f"c=CLICK&value=1&currency={code}",
            "invalid_currency",
            f"'{code}' is not an ISO 4217 code",
            f"senders set ezmob --currency {code.upper()}",
        )
        for code in RETIRED
    ),
    *(
        told(
            "binom",
            f"cnv_id=CLICK&payout=1&cnv_currency={quote_plus(text)}",
            "invalid_currency",
            f"Send cnv_currency as an ISO 4217 code such as {code}.",
        )
        for text, code in WRONG.items()
    ),
    told("ezmob", "c=CLICK&value=1&currency={currency}", "unexpanded_macro", "currency"),
    told("ezmob", "c=CLICK&value=1&currency=[CURRENCY]", "unexpanded_macro", "currency"),
    stored("keitaro", "subid=CLICK&payout=1&currency=usd", currency="USD", params={"currency": "usd"}),
    stored("binom", "cnv_id=CLICK&payout=1&cnv_currency=eur", currency="EUR", params={"cnv_currency": "eur"}),
    stored("adjust", "click_id=CLICK&revenue_float=3.99&currency=usd", currency="USD", value_micros=3_990_000),
    stored("ezmob", Body(b'{"c":"CLICK","value":1,"currency":"usd"}'), doors=("json",), currency="USD"),
    *(again(first, later) for first, later in (("USD", "usd"), ("usd", "USD"), ("eur", "Eur"), ("", "%20"))),
    told("ezmob", "c=CLICK&value=1&currency=eur", "conflict", before=["c=CLICK&value=1&currency=usd"], doors=WRITING),
]
