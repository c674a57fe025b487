"""Owns the rows about platforms: what each of them documents, and which of its names counts."""

from tests.dialects.rows import CLICK, UNSHEETED, WRITING, Body, Row, stored, told

DOCUMENTED: list[Row] = [
    stored("ezmob", "c=CLICK&value=2.50", click_id=CLICK, value="2.50", params={}),
    stored("ezmob", "c=CLICK&value=2.50&custom_param=blue", params={"custom_param": "blue"}),
    stored("ezmob", "c=CLICK&value=0&country=DE&device_type=mobile", value_micros=0),
    stored("ezmob", "c=CLICK&value=1&goal=lead&txid=7&currency=EUR", goal="lead", transaction_id="7", currency="EUR"),
    stored("ezmob", "c=CLICK&value=1&transaction_id=8", transaction_id="8"),
    stored("ezmob", "c=CLICK&value=1&conversion_status=approved", conversion_status="approved"),
    stored("voluum", "cid=CLICK", click_id=CLICK, value="", value_micros=0),
    stored("voluum", "cid=CLICK&payout=3.70&txid=t-1", value="3.70", transaction_id="t-1"),
    stored("voluum", "cid=CLICK&payout=3.70&txid=t-1&currency=USD&et=sale&param1=a", goal="sale", currency="USD"),
    stored("voluum", "cid=CLICK&payout=0.95&txid=", value="0.95", transaction_id=""),
    stored("redtrack", "clickid=CLICK&sum=12", value="12"),
    stored("redtrack", "clickid=CLICK&sum=12&type=Purchase&sub1=x", goal="Purchase", params={"sub1": "x"}),
    stored("redtrack", "clickid=CLICK&sum=12&rdtk_event_id=o-77", transaction_id="o-77", params={}),
    stored("redtrack", "clickid=CLICK&sum=&type=Lead&rdtk_event_id=", value="", goal="Lead", transaction_id=""),
    stored("keitaro", "subid=CLICK&payout=21.0&status=sale", value="21.0", conversion_status="approved"),
    stored("keitaro", "subid=CLICK&revenue=10&status=sale", value="10", value_micros=10_000_000, params={}),
    stored("keitaro", "subid=CLICK&payout=10&currency=eur&status=lead", conversion_status="pending", currency="EUR"),
    stored("keitaro", "subid=CLICK&payout=5&tid=52949935&status=rebill", transaction_id="52949935"),
    stored("keitaro", "sub_id=CLICK&revenue=5&currency=rub", click_id=CLICK, value="5", currency="RUB"),
    stored(
        "keitaro",
        "subid=CLICK&payout=5&cost=1.2&sub_id_1=a&return=OK",
        params={"cost": "1.2", "sub_id_1": "a", "return": "OK"},
    ),
    stored("binom", "cnv_id=CLICK&payout=5", click_id=CLICK, value="5"),
    stored("binom", "clickid=CLICK&payout=5&cnv_currency=USD", click_id=CLICK, currency="USD"),
    stored("binom", "cnv_id=CLICK&payout=5&cnv_status=Hold", conversion_status="pending"),
    stored("binom", "cnv_id=CLICK&payout=5&cnv_status=approve&cnv_status2=x", params={"cnv_status2": "x"}),
    stored("binom", "cnv_id=CLICK&payout=5&event1=15&to_offer=1", params={"event1": "15", "to_offer": "1"}),
    stored("bemob", "cid=CLICK&payout=1.25&txid=9&status=confirm", transaction_id="9", conversion_status="approved"),
    stored("bemob", "cid=CLICK", click_id=CLICK, value=""),
    stored("bemob", "cid=CLICK&payout=1.25&txid=&status=new", transaction_id="", conversion_status="pending"),
    stored("tune", "transaction_id=CLICK&offer_id=26", click_id=CLICK, params={"offer_id": "26"}),
    stored(
        "tune", "transaction_id=CLICK&amount=19.99&adv_sub=order7&goal_id=3", goal="3", params={"adv_sub": "order7"}
    ),
    stored("tune", "transaction_id=CLICK&amount=19.99&currency=gbp&conversion_unique_id=u1", transaction_id="u1"),
    stored("everflow", "nid=17&transaction_id=CLICK", click_id=CLICK, value="", params={"nid": "17"}),
    stored("everflow", "nid=17&transaction_id=CLICK&amount=49.99&order_id=o-1", value="49.99", transaction_id="o-1"),
    stored("everflow", "nid=17&transaction_id=CLICK&amount=5&event_id=4", goal="4"),
    stored("everflow", "nid=17&transaction_id=CLICK&amount=5&adv_event_id=7", goal="7"),
    stored("everflow", "transaction_id=CLICK&amount=5&coupon_code=X&adv1=a", params={"coupon_code": "X", "adv1": "a"}),
    stored("appsflyer", "clickid=CLICK&install_time=1", value="", params={"install_time": "1"}),
    stored(
        "appsflyer", "clickid=CLICK&event_name=purchase&event_revenue=9.99&event_revenue_currency=EUR", currency="EUR"
    ),
    stored("appsflyer", "clickid=CLICK&event_revenue_USD=10.5", value="10.5", currency="USD", params={}),
    stored(
        "appsflyer",
        "clickid=CLICK&event_revenue=9&event_revenue_currency=EUR&event_revenue_USD=10.5",
        value="9",
        currency="EUR",
        params={"event_revenue_USD": "10.5"},
    ),
    stored(
        "appsflyer",
        "clickid=CLICK&event_revenue=&event_revenue_currency=EUR&event_revenue_USD=10.5",
        value="10.5",
        currency="USD",
        params={"event_revenue_currency": "EUR"},
    ),
    stored("appsflyer", "clickid=CLICK&event_name=level&event_id=e1&event_revenue=", goal="level", transaction_id="e1"),
    stored("adjust", "click_id=CLICK&event_name=level&revenue_float=0.99&currency=EUR&adid=8a", goal="level"),
    stored(
        "adjust", "click_id=CLICK&event_token=bkrfgq&revenue_float=3.99&currency=usd", goal="bkrfgq", currency="USD"
    ),
    stored("adjust", "click_id=CLICK&event_token=b1&event_name=sale", goal="sale", params={"event_token": "b1"}),
    stored("adjust", "click_id=CLICK&transaction_id=t1&revenue_float=", transaction_id="t1", value=""),
]
PREFERRED: list[Row] = [
    stored("keitaro", "subid=CLICK&payout=5&revenue=10", value="5", params={"revenue": "10"}),
    stored("keitaro", "revenue=10&payout=5&subid=CLICK", value="5", params={"revenue": "10"}),
    stored("keitaro", "subid=CLICK&payout=&revenue=10", value="10", params={}),
    stored("keitaro", "revenue=10&payout=%20&subid=CLICK", value="10", params={}),
    stored("keitaro", "subid=CLICK&payout=0&revenue=10", value="0", params={"revenue": "10"}, mistake="other_name"),
    stored("keitaro", "subid=CLICK&sub_id=other&payout=1", click_id=CLICK, params={"sub_id": "other"}),
    stored("keitaro", "sub_id=CLICK&subid=&payout=1", click_id=CLICK, params={}),
    stored("binom", "clickid=other&cnv_id=CLICK&payout=1", click_id=CLICK, params={"clickid": "other"}),
    stored("binom", "clickid=CLICK&cnv_id=CLICK&payout=1", click_id=CLICK),
    stored("everflow", "transaction_id=CLICK&adv_event_id=7&event_id=4", goal="4", params={"adv_event_id": "7"}),
    stored("ezmob", "c=CLICK&value=1&txid=2&transaction_id=1", transaction_id="1", params={"txid": "2"}),
    stored("ezmob", "c=CLICK&value=1&txid=2&transaction_id=", transaction_id="2", params={}),
    stored("mapped", "subid=CLICK&payout=5&sum=6", value="6", params={"payout": "5"}),
    stored("mapped", "subid=CLICK&payout=5&sum=", value="5", params={}),
    stored("mapped", "subid=CLICK&payout=5&revenue=vip", value="5", goal="vip", params={}),
    told("keitaro", "subid=CLICK&payout=5&payout=6", "repeated_parameter", "payout"),
    told("keitaro", "subid=CLICK&revenue=5&payout=6&revenue=7", "repeated_parameter", "revenue"),
    told("keitaro", "subid=CLICK&payout=5&revenue=10", "conflict", before=["subid=CLICK&payout=10"], doors=WRITING),
    stored("keitaro", "subid=CLICK&revenue=10", before=["subid=CLICK&payout=10.0"], outcome="duplicate", doors=WRITING),
]
OTHERWISE: list[Row] = [  # no value was sent, and a name of the trade for one was
    stored("keitaro", "subid=CLICK&amount=10", value="", params={"amount": "10"}, mistake="other_name"),
    stored("keitaro", "subid=CLICK&sum=10&status=sale", value="", mistake="other_name"),
    stored("voluum", "cid=CLICK&revenue=10", value="", mistake="other_name"),
    stored("voluum", "cid=CLICK&payout=&value=10", value="", mistake="other_name"),
    stored("redtrack", "clickid=CLICK&payout=10", value="", mistake="other_name"),
    stored("binom", "cnv_id=CLICK&revenue=10", value="", mistake="other_name"),
    stored("bemob", "cid=CLICK&amount=10", value="", mistake="other_name"),
    stored("tune", "transaction_id=CLICK&payout=10", value="", mistake="other_name"),
    stored("everflow", "transaction_id=CLICK&revenue=10", value="", mistake="other_name"),
    stored("everflow", "transaction_id=CLICK&sale_amount=10", value="", mistake="other_name"),
    stored("appsflyer", "clickid=CLICK&event_revenue_usd=10", value="", mistake="wrong_case", doors=UNSHEETED),
    stored("appsflyer", "clickid=CLICK&revenue=10", value="", mistake="other_name"),
    stored("adjust", "click_id=CLICK&revenue=345", value="", mistake="other_name"),
    stored("adjust", "click_id=CLICK&revenue_usd=3.45", value="", mistake="other_name"),
    stored("relaxed", "c=CLICK&payout=10", value="", mistake="other_name"),
    stored("relaxed", "c=CLICK&Value=10", value="", mistake="wrong_case", doors=UNSHEETED),
    stored("keitaro", "subid=CLICK&amount=0", value=""),
    stored("keitaro", "subid=CLICK&price=free", value=""),
    stored("keitaro", "subid=CLICK&amount=", value=""),
    stored("keitaro", "subid=CLICK&payout=0&amount=10", value="0", mistake="other_name"),
    stored("keitaro", "subid=CLICK&payout=0&amount=0", value="0"),
    told("demanding", "subid=CLICK&amount=10", "missing_value", "Send the value as payout", mistake="other_name"),
    told("demanding", "subid=CLICK&payout=&amount=10", "missing_value", "as payout", mistake="other_name"),
    told("ezmob", "c=CLICK&payout=10", "missing_value", "Send the value as value", mistake="other_name"),
]
EMPTY: list[Row] = [
    *(
        stored(
            "ezmob",
            f"c=CLICK&value=1&{name}=",
            goal="",
            transaction_id="",
            currency=None,
            conversion_status=None,
            params={},
        )
        for name in ("currency", "goal", "txid", "transaction_id", "conversion_status")
    ),
    *(
        stored(
            "ezmob",
            f"c=CLICK&value=1&{name}=%20",
            goal="",
            transaction_id="",
            currency=None,
            conversion_status=None,
            params={},
        )
        for name in ("currency", "goal", "txid", "conversion_status")
    ),
    *(
        stored("keitaro", f"subid=CLICK&{name}=", value="", transaction_id="", currency=None, params={})
        for name in ("payout", "revenue", "currency", "tid", "status")
    ),
    *(
        stored("binom", f"cnv_id=CLICK&{name}=", value="", currency=None, params={})
        for name in ("payout", "cnv_currency", "cnv_status", "clickid")
    ),
    *(
        stored("everflow", f"transaction_id=CLICK&{name}=", value="", goal="", params={})
        for name in ("amount", "event_id", "adv_event_id", "order_id", "currency")
    ),
    *(
        stored("appsflyer", f"clickid=CLICK&{name}=", value="", currency=None, params={})
        for name in ("event_revenue", "event_revenue_USD", "event_revenue_currency", "event_id")
    ),
    stored("bemob", "cid=CLICK&payout=&txid=&status=&currency=", value="", params={}),
    stored("relaxed", "c=CLICK&value=%20", value="", value_micros=0),
    *(
        stored(
            "ezmob",
            Body(b'{"c":"CLICK","value":1,"%b":%b}' % (name, empty)),
            doors=("json",),
            goal="",
            currency=None,
            params={},
        )
        for name in (b"currency", b"goal", b"txid", b"conversion_status")
        for empty in (b'""', b"null", b'" "')
    ),
    told("ezmob", "c=CLICK&value=", "missing_value", "as parameter value"),
    told("ezmob", "c=CLICK&value=%20", "missing_value", "empty"),
    told("ezmob", "c=&value=1", "missing_click_id", "as parameter c."),
]
HINTS: list[Row] = [
    told("ezmob", "value=1", "missing_click_id", "Send the click id as parameter c."),
    told("voluum", "payout=1", "missing_click_id", "Send the click id as parameter cid."),
    told("redtrack", "sum=1", "missing_click_id", "Send the click id as parameter clickid."),
    told("keitaro", "payout=1", "missing_click_id", "Send the click id as parameter subid."),
    told("binom", "payout=1", "missing_click_id", "Send the click id as parameter cnv_id."),
    told("bemob", "payout=1", "missing_click_id", "Send the click id as parameter cid."),
    told("tune", "amount=1", "missing_click_id", "Send the click id as parameter transaction_id."),
    told("everflow", "amount=1", "missing_click_id", "Send the click id as parameter transaction_id."),
    told("appsflyer", "event_revenue=1", "missing_click_id", "Send the click id as parameter clickid."),
    told("adjust", "revenue_float=1", "missing_click_id", "Send the click id as parameter click_id."),
    told("keitaro", "c=CLICK&payout=1", "missing_click_id", "Send the click id as subid: c is what others call it."),
    told("keitaro", "subid=CLICK&payout=x", "invalid_value", "Send payout as a plain number such as 1.50"),
    told("keitaro", "subid=CLICK&revenue=x", "invalid_value", "a plain number such as 1.50"),
    told("keitaro-comma", "subid=CLICK&payout=x", "invalid_value", "Send payout as a plain number such as 1,50"),
    told(
        "keitaro-comma",
        "subid=CLICK&payout=1.50",
        "invalid_value",
        "Write payout with a decimal comma",
        doors=UNSHEETED,
    ),
    told("cents", "c=CLICK&value=1.50", "invalid_value", "in whole cents, such as 150"),
    told("redtrack", "clickid=CLICK&sum=x", "invalid_value", "Send sum as a plain number"),
    told(
        "tune",
        "transaction_id=CLICK&amount=1,50",
        "invalid_value",
        "Write amount with a decimal point",
        doors=UNSHEETED,
    ),
    told("adjust", "click_id=CLICK&revenue_float=x", "invalid_value", "Send revenue_float as"),
    told("demanding", "subid=CLICK", "missing_value", "as parameter payout, for example payout=1.50"),
    told("keitaro", "subid=a%20b&payout=1", "invalid_click_id", "subid"),
    told("redtrack", "clickid=CLICK&type=" + "g" * 256, "too_large", "type and rdtk_event_id within 255 bytes"),
    told("binom", "cnv_id=CLICK&payout=1%00", "invalid_encoding", doors=("get", "form")),
    told("ezmob", Body(b"{", path="/postbacks"), "malformed_body", "NDJSON", never=("as a form",), doors=("array",)),
    told("ezmob", Body(b"c=1", "text/plain", "/postbacks"), "unsupported_media_type", "NDJSON", doors=("array",)),
    told("ezmob", Body(b"[1]", path="/postbacks"), "malformed_body", "each row is one object", doors=("array",)),
]
ROWS: list[Row] = [*DOCUMENTED, *PREFERRED, *OTHERWISE, *EMPTY, *HINTS]
