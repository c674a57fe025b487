"""Owns the rows about fields whose names came damaged: what was not read is told, and never passes for a repetition."""

from tests.dialects.rows import UNSHEETED, WRITING, Door, Row, stored, told

SPACED = ("%20status", "status%20", "status+", "Status%20", "%C2%A0status", "%E2%80%8Bstatus", "%EF%BB%BFstatus")
SIGNED = ("%3Fstatus", "status[]", "status[0]", "%22status%22", "/status", "%3Bstatus", "%26status", ".Status:")
GLUED = ("x=1%26status=rejected", "x=1;status=rejected", "x=1?status=rejected", "x=1,%20y|Status=rejected")
LOGGED: tuple[Door, ...] = ("get", "form", "json", "ndjson", "array", "csv", "pixel")  # a line tells the advice
DOORS = tuple(door for door in WRITING if door != "sheet")
SALE = "subid=CLICK&payout=5&status=sale"

REFUNDS: list[Row] = [
    *(
        told("keitaro", f"subid=CLICK&{name}=rejected", "conflict", before=[SALE], doors=DOORS, mistake=mistake)
        for names, mistake in (((*SPACED, "%0Astatus"), "whitespace"), (SIGNED, "broken_separator"))
        for name in names
    ),
    *(
        told("keitaro", f"subid=CLICK&{sent}", "conflict", before=[SALE], doors=DOORS, mistake="broken_separator")
        for sent in (*GLUED, "?payout=9", "payout[]=9")
    ),
    told("keitaro", "subid=CLICK&%20payout=9", "conflict", before=[SALE], doors=DOORS, mistake="whitespace"),
    told(
        "binom",
        "cnv_id=CLICK&%20status=rejected",
        "conflict",
        before=["cnv_id=CLICK"],
        doors=DOORS,
        mistake="other_name",
    ),
    stored("keitaro", f"{SALE}&x=https://a/?status=1", before=[SALE], outcome="duplicate", doors=DOORS),
    stored("keitaro", f"{SALE}&q=1;payout=5", before=[SALE], outcome="duplicate", doors=DOORS),
    stored(
        "keitaro",
        "subid=CLICK&?status=rejected",
        before=["subid=CLICK&?status=rejected"],
        outcome="duplicate",
        doors=LOGGED,
        mistake="broken_separator",
    ),
]
VALUES: list[Row] = [
    *(
        stored("keitaro", f"subid=CLICK&{name}=5", value="", mistake=mistake, words=("it is payout",), doors=LOGGED)
        for name, mistake in (
            *((name, "broken_separator") for name in ("?payout", "payout[]", "%26payout", "%22Payout%22")),
            *((name, "whitespace") for name in ("%20payout", "payout%0D%0A")),
        )
    ),
    stored(
        "keitaro",
        "subid=CLICK&x=1;payout=5",
        value="",
        mistake="broken_separator",
        words=("& before payout",),
        doors=LOGGED,
    ),
    stored("keitaro", "subid=CLICK&%22amount%22=5", value="", mistake="other_name", doors=UNSHEETED),
    stored("ezmob", "c=CLICK&value=5&test[]=1", is_test=0, mistake="broken_separator"),
    told("ezmob", "c=CLICK&?value=5", "missing_value", "it is value", mistake="broken_separator"),
]
AROUND: list[Row] = [
    *(
        stored(
            "keitaro",
            f"subid=CLICK&payout={before}5.50{behind}&currency={before}usd{behind}&status={before}Sale{behind}",
            value="5.50",
            value_micros=5_500_000,
            currency="USD",
            conversion_status="approved",
            mistake="whitespace",
            doors=DOORS,
        )
        for before, behind in (("", "%0A"), ("", "%0D%0A"), ("%09", ""), ("", "%C2%A0"), ("%E2%80%8B", "%20%0A"))
    ),
    *(
        stored("ezmob", f"c=CLICK&value=5&{sent}", mistake="whitespace", params={name: text}, doors=UNSHEETED)
        for sent, name, text in (
            ("currency=usd%0A", "currency", "usd\n"),
            ("conversion_status=sale%09", "conversion_status", "sale\t"),
        )
    ),
    stored("ezmob", "c=CLICK&value=5%0A", value="5", params={"value": "5\n"}, mistake="whitespace", doors=UNSHEETED),
    stored("ezmob", "c=CLICK&value=+5+&currency=+usd+", value=" 5 ", currency="USD", doors=UNSHEETED),
    stored("comma", "c=CLICK&value=5,5%09", value="5,5", mistake="whitespace", doors=UNSHEETED),
    told("ezmob", "c=CLICK&value=%0A", "missing_value", "empty"),
    stored("keitaro", "subid=CLICK&payout=5&payout=5%0A", value="5", doors=("get", "form", "json")),
    stored(
        "keitaro", "subid=CLICK&payout=5%0A", before=[SALE], outcome="duplicate", mistake="whitespace", doors=LOGGED
    ),
]
ROWS: list[Row] = [*REFUNDS, *VALUES, *AROUND]
