"""Owns the rows about status words, what may follow what, and paths."""

from tests.dialects.rows import CLICK, EVERY, FILES, Body, Row, stored, told

UNKNOWN = "unknown_status"
KEITARO, BINOM, BEMOB, EZMOB = (
    "subid=CLICK&payout=5",
    "cnv_id=CLICK&payout=5",
    "cid=CLICK&payout=5",
    "c=CLICK&value=5",
)
SOLD = f"{EZMOB}&conversion_status=approved"
REPEATED = EVERY[:-1]  # `check` stores nothing, so nothing comes before
JSON = b'{"subid":"CLICK","payout":5}'


def known(sender: str, sent: str, status: str) -> Row:
    """Return a row whose word means a status, and leaves nothing in the parameters."""
    return stored(sender, sent, click_id=CLICK, conversion_status=status, params={})


def unknown(sender: str, sent: str, name: str, word: str) -> Row:
    """Return a row whose word means nothing to us: stored without a status, the word kept under its sender's name."""
    return stored(sender, sent, mistake=UNKNOWN, click_id=CLICK, conversion_status=None, params={name: word})


def later(sender: str, before: list[str], sent: str, outcome: str, mistake: str | None = None) -> Row:
    """Return a row that is judged by what came before it."""
    doors = tuple(
        door for door in REPEATED if door not in FILES or sent not in before
    )  # a file that was imported is known
    if outcome in ("stored", "updated", "duplicate"):
        return stored(sender, sent, doors=doors, before=before, outcome=outcome, mistake=mistake)
    return told(sender, sent, outcome, doors=doors, before=before, mistake=mistake)


WORDS: list[Row] = [
    known("keitaro", f"{KEITARO}&status=lead", "pending"),
    known("keitaro", f"{KEITARO}&status=sale", "approved"),
    known("keitaro", f"{KEITARO}&status=rejected", "rejected"),
    known("keitaro", f"{KEITARO}&status=rebill", "approved"),
    known("keitaro", f"{KEITARO}&status=SALE", "approved"),
    known("keitaro", f"{KEITARO}&status=Trash", "rejected"),
    known("binom", f"{BINOM}&cnv_status=hold", "pending"),
    known("binom", f"{BINOM}&cnv_status=paid", "approved"),
    known("bemob", f"{BEMOB}&status=new", "pending"),
    known("bemob", f"{BEMOB}&status=confirm", "approved"),
    known("bemob", f"{BEMOB}&status=decline", "rejected"),
    known("bemob", f"{BEMOB}&status=charge", "refunded"),
    known("ezmob", f"{EZMOB}&conversion_status=approved", "approved"),
    stored("ezmob", f"{EZMOB}&conversion_status=", conversion_status=None, params={}),
    stored("keitaro", f"{KEITARO}&status=", conversion_status=None, params={}),
    stored("voluum", "cid=CLICK&payout=5&status=signup", conversion_status=None, params={"status": "signup"}),
    unknown("binom", f"{BINOM}&cnv_status=signup", "cnv_status", "signup"),
    unknown("binom", f"{BINOM}&cnv_status=reg", "cnv_status", "reg"),
    unknown("binom", f"{BINOM}&cnv_status=ftd", "cnv_status", "ftd"),
    unknown("binom", f"{BINOM}&cnv_status=FTD", "cnv_status", "FTD"),
    unknown("binom", f"{BINOM}&cnv_status=deposit+2", "cnv_status", "deposit 2"),
    unknown("binom", f"{BINOM}&cnv_status=1", "cnv_status", "1"),
    unknown("binom", f"{BINOM}&cnv_status=0", "cnv_status", "0"),
    unknown("binom", f"{BINOM}&cnv_status=%D0%BE%D0%BF%D0%BB%D0%B0%D1%87%D0%B5%D0%BD", "cnv_status", "оплачен"),
    unknown("binom", "cnv_id=CLICK&cnv_status=install", "cnv_status", "install"),
    unknown("keitaro", f"{KEITARO}&status=wait", "status", "wait"),
    unknown("keitaro", f"{KEITARO}&status=registration", "status", "registration"),
    unknown("keitaro", f"{KEITARO}&status=dep", "status", "dep"),
    unknown("keitaro", f"{KEITARO}&status=approve%2Cpaid", "status", "approve,paid"),
    unknown("bemob", f"{BEMOB}&status=2", "status", "2"),
    unknown("bemob", f"{BEMOB}&status=in+review", "status", "in review"),
    unknown("ezmob", f"{EZMOB}&conversion_status=aproved", "conversion_status", "aproved"),
    unknown("ezmob", f"{EZMOB}&conversion_status=refunde", "conversion_status", "refunde"),
    unknown("ezmob", f"{EZMOB}&conversion_status=completed", "conversion_status", "completed"),
    unknown("ezmob", f"{EZMOB}&conversion_status=ok&goal=g&txid=t", "conversion_status", "ok"),
    told("strict", f"{BINOM}&cnv_status=signup", "invalid_status", "cnv_status", mistake=UNKNOWN),
    told("strict", f"{BINOM}&cnv_status=1", "invalid_status", "cnv_status", mistake=UNKNOWN),
    known("strict", f"{BINOM}&cnv_status=sale", "approved"),
    told("keitaro", f"{KEITARO}&status=%7Bstatus%7D", "unexpanded_macro", "status", mistake="unreplaced_macro"),
    told("binom", f"{BINOM}&cnv_status=%7Bstatus%7D", "unexpanded_macro", "status", mistake="unreplaced_macro"),
]

LATER: list[Row] = [
    later("binom", [f"{BINOM}&cnv_status=reg"], f"{BINOM}&cnv_status=reg", "duplicate", UNKNOWN),
    later("binom", [f"{BINOM}&cnv_status=reg"], f"{BINOM}.00&cnv_status=reg", "duplicate", UNKNOWN),
    later("binom", [f"{BINOM}&cnv_status=reg"], f"{BINOM}&cnv_status=ftd", "invalid_status", UNKNOWN),
    later("binom", [f"{BINOM}&cnv_status=reg"], f"{BINOM}0&cnv_status=reg", "invalid_status", UNKNOWN),
    later("binom", [f"{BINOM}&cnv_status=reg"], BINOM, "duplicate"),
    later("binom", [f"{BINOM}&cnv_status=reg"], f"{BINOM}0", "conflict"),
    later("binom", [f"{BINOM}&cnv_status=reg"], f"{BINOM}&cnv_status=sale", "updated"),
    later(
        "binom",
        [f"{BINOM}&cnv_status=reg", f"{BINOM}&cnv_status=sale"],
        f"{BINOM}&cnv_status=reg",
        "duplicate",
        UNKNOWN,
    ),
    later("binom", [BINOM], f"{BINOM}&cnv_status=reg", "invalid_status", UNKNOWN),
    later("keitaro", ["subid=CLICK&status=wait"], "subid=CLICK&status=wait", "duplicate", UNKNOWN),
    later("keitaro", ["subid=CLICK&status=wait"], "subid=CLICK&status=waits", "invalid_status", UNKNOWN),
    later("ezmob", [SOLD], f"{EZMOB}&conversion_status=refunde", "invalid_status", UNKNOWN),
    later("ezmob", [SOLD], f"{EZMOB}&conversion_status=chargebak", "invalid_status", UNKNOWN),
    later("ezmob", [SOLD], f"{EZMOB}&conversion_status=refund", "updated"),
    later("ezmob", [SOLD], f"{EZMOB}&conversion_status=refunde&txid=2", "stored", UNKNOWN),
    later("strict", [f"{BINOM}&cnv_status=sale"], f"{BINOM}&cnv_status=refunde", "invalid_status", UNKNOWN),
    later("ezmob", [SOLD], f"{EZMOB}&conversion_status=pending", "illegal_transition"),
    later("ezmob", [SOLD], "c=CLICK&value=0&conversion_status=lead", "illegal_transition"),
    later("keitaro", [f"{KEITARO}&status=sale"], "subid=CLICK&status=lead", "illegal_transition"),
    later("bemob", [f"{BEMOB}&status=charge"], f"{BEMOB}&status=confirm", "illegal_transition"),
    later("ezmob", [f"{EZMOB}&conversion_status=pending"], f"{EZMOB}&conversion_status=refunded", "illegal_transition"),
    later(
        "ezmob", [f"{EZMOB}&conversion_status=rejected"], f"{EZMOB}&conversion_status=refunded", "illegal_transition"
    ),
    later("ezmob", [f"{EZMOB}&conversion_status=rejected"], f"{EZMOB}&conversion_status=pending", "illegal_transition"),
    later("ezmob", [f"{EZMOB}&conversion_status=rejected"], SOLD, "updated"),
    later("keitaro", [f"{KEITARO}&status=lead", f"{KEITARO}&status=rejected"], f"{KEITARO}&status=sale", "updated"),
    later(
        "ezmob",
        [SOLD, f"{EZMOB}&conversion_status=rejected"],
        "c=CLICK&value=6&conversion_status=approved",
        "illegal_transition",
    ),
    later("ezmob", [SOLD, f"{EZMOB}&conversion_status=rejected"], SOLD, "duplicate"),
    later("ezmob", [SOLD], f"{EZMOB}&conversion_status=sale", "duplicate"),
]

PATHS: list[Row] = [
    *(
        stored("keitaro", Body(JSON, path=path), doors=("json",), value="5", click_id=CLICK)
        for path in (
            "/postback/",
            "/postback//",
            "/Postback",
            "/POSTBACK//",
            "/conversion/",
            "/Conversion",
            "/conversion//",
        )
    ),
    *(
        told("keitaro", Body(JSON, path=path), "unknown_path", "/postback", doors=("json",))
        for path in ("/", "/postbak", "/track", "/postback.php", "/api/postback", "/conversions", "/pixel")
    ),
]

ROWS = WORDS + LATER + PATHS
