"""`check` answers as the door does: each URL is checked, then sent to the service, and both give the same answer."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from service.auth.keys import digest
from service.core.presets import EZMOB
from service.operations.check import Foreseen, Listening, check
from service.operations.errors import Refused
from service.storage.database import database_at
from service.storage.schema.tables import ApiKey
from tests.support import builders, registration
from tests.support.migrated import put_migrated
from tests.support.registered import text_of
from tests.support.served import serving

pytestmark = pytest.mark.anyio

PAST = builders.RECEIVED_AT - timedelta(days=1)
KEYS = {
    name: text_of(name)
    for name in ("acme", "beta", "test", "pixel", "revoked", "expired", "disabled", "orphan", "unknown")
}


def row(name: str, **changes: object) -> ApiKey:
    """Return the row of one of the keys."""
    key = KEYS[name]
    return registration.key(key[4:16], secret_sha256=digest(key[17:]).hex(), **changes)


@pytest.fixture
def registered(tmp_path: Path) -> Path:
    """Register three senders, and a key for each way in which a key can be good or not."""
    path = tmp_path / "postback.db"
    put_migrated(path)
    database = database_at(f"sqlite:///{path}")
    ledger = database.ledger()
    ledger.open()
    senders = database.senders()
    senders.put_sender(registration.sender("acme"), new=True)
    senders.put_sender(registration.sender("beta", preset="ezmob"), new=True)
    senders.put_sender(registration.sender("gone", preset="ezmob", disabled_at=PAST), new=True)
    senders.put_keys(
        row("acme"),
        row("beta", sender="beta"),
        row("test", sender="beta", is_test=True),
        row("pixel", sender="beta", doors=["pixel"]),
        row("revoked", sender="beta", revoked_at=PAST),
        row("expired", sender="beta", expires_at=PAST),
        row("disabled", sender="gone"),
        row("orphan", sender="nobody"),
    )
    ledger.close()
    database.close()
    return path


async def both_ways(
    path: Path, url: str, key: str = "", asked: str = "127.0.0.1:8000", **settings: str
) -> tuple[Foreseen, tuple[str, int, list[object]]]:
    """Return what `check` says of a URL, and what the service answers to it, with the senders of what it stored."""
    database = database_at(f"sqlite:///{path}")
    roster = database.senders().rows().roster()
    listening = Listening(settings.get("auth", "auto"), settings.get("host", "127.0.0.1"), EZMOB, roster)  # type: ignore[arg-type]  # a table's text
    foreseen = await check(f"http://{asked}{url}", listening, database, key=key)
    database.close()
    headers: Mapping[str, str] = {"host": asked, **({"x-api-key": key} if key else {})}
    async with serving(path, **settings) as served:
        answer = await served.public.get(f"http://127.0.0.1:8000{url}", headers=headers)
        stored = [sender for (sender,) in served.rows("SELECT sender FROM conversion")]
    return foreseen, (answer.headers["x-postback-outcome"], answer.status_code, stored)


OURS, ACMES = "/postback?c=click-1&value=1.50", "/postback?cid=click-1&payout=1.50"


@pytest.mark.parametrize(
    ("url", "shown", "outcome", "sender"),
    [
        (ACMES, KEYS["acme"], "stored", "acme"),
        (OURS, KEYS["beta"], "stored", "beta"),
        (OURS, KEYS["acme"], "missing_click_id", "acme"),  # good, and another sender's: judged by its rules
        ("/conversion?c=click-1&value=1", KEYS["beta"], "stored", "beta"),
        (OURS, KEYS["test"], "stored", "beta"),
        (OURS, KEYS["pixel"], "forbidden", "beta"),
        ("/pixel.gif?c=click-1&value=1", KEYS["pixel"], "stored", "beta"),
        ("/pixel.gif?c=click-1&value=1", KEYS["beta"], "forbidden", "beta"),
        (OURS, KEYS["disabled"], "forbidden", "gone"),
        (OURS, KEYS["revoked"], "unauthenticated", None),
        (OURS, KEYS["expired"], "unauthenticated", None),
        (OURS, KEYS["orphan"], "unauthenticated", None),
        (OURS, KEYS["unknown"], "unauthenticated", None),
        (OURS, KEYS["beta"][:-1], "unauthenticated", None),
        (OURS, KEYS["beta"].swapcase(), "unauthenticated", None),
        (OURS, f"pbk_{KEYS['beta'][4:16]}_redacted", "unauthenticated", None),
        (OURS, KEYS["acme"][:17] + KEYS["beta"][17:], "unauthenticated", None),
        (OURS, "wrong", "unauthenticated", None),
        (OURS, "", "unauthenticated", None),
        ("/pixel.gif?c=click-1&value=1", "wrong", "unauthenticated", None),
    ],
)
@pytest.mark.parametrize("where", ["query", "header"])
async def test_a_key_opens_in_check_what_it_opens_at_the_door(  # noqa: PLR0913 - a table's columns
    registered: Path, *, where: str, url: str, shown: str, outcome: str, sender: str | None
) -> None:
    in_query = f"{url}&key={shown}" if where == "query" else url
    foreseen, answered = await both_ways(registered, in_query, shown if where == "header" else "")
    assert (foreseen.outcome.value, foreseen.sender) == (outcome, sender)
    assert answered == (outcome, foreseen.status, [sender] if outcome == "stored" else [])


@pytest.mark.parametrize(
    ("path", "shown", "outcome", "sender"),
    [
        ("/postback/", KEYS["beta"], "stored", "beta"),
        ("//postback", KEYS["beta"], "stored", "beta"),
        ("/PostBack", KEYS["beta"], "stored", "beta"),
        ("/conversion//", KEYS["beta"], "stored", "beta"),
        ("/post%62ack", KEYS["beta"], "stored", "beta"),
        ("/pixel.gif/", KEYS["beta"], "forbidden", "beta"),
        ("/postback/", "wrong", "unauthenticated", None),
        ("/track", KEYS["beta"], "unknown_path", "beta"),
        ("/track", KEYS["pixel"], "forbidden", "beta"),
        ("/", KEYS["beta"], "unknown_path", "beta"),
        ("/healthz", KEYS["beta"], "unknown_path", "beta"),
        ("/postbacks/", KEYS["beta"], "unknown_path", "beta"),
    ],
)
async def test_a_path_is_the_door_that_it_is_for_the_service(
    registered: Path, *, path: str, shown: str, outcome: str, sender: str | None
) -> None:
    foreseen, answered = await both_ways(registered, f"{path}?c=click-1&value=1&key={shown}")
    assert (foreseen.outcome.value, foreseen.sender) == (outcome, sender)
    assert answered == (outcome, foreseen.status, [sender] if outcome == "stored" else [])


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        ("/healthz?c=click-1&value=1", 200, "answered 200, as a question after the service's health, and not kept"),
        ("/healthz?value=1&key={beta}", 200, "answered 200, as a question after the service's health, and not kept"),
        ("/postbacks?c=click-1&value=1", 405, "answered 405: a batch is sent as POST"),
    ],
)
async def test_what_is_no_postback_is_refused_with_the_answer_to_it(
    registered: Path, asked: str, status: int, told: str
) -> None:
    url = asked.format(beta=KEYS["beta"])
    with pytest.raises(Refused, match=told):
        await both_ways(registered, url)
    async with serving(registered) as served:
        answer = await served.public.get(url)
        assert (answer.status_code, served.rows("SELECT * FROM rejected_postback")) == (status, [])


@pytest.mark.parametrize("shown", ["", "&key=wrong"])
async def test_what_is_answered_404_and_not_kept_is_refused(registered: Path, shown: str) -> None:
    with pytest.raises(Refused, match="answered 404, and not kept"):
        await both_ways(registered, f"/track?c=click-1&value=1{shown}")
    async with serving(registered) as served:
        answer = await served.public.get(f"/track?c=click-1&value=1{shown}")
        assert (answer.status_code, served.rows("SELECT * FROM rejected_postback")) == (404, [])


@pytest.mark.parametrize(
    ("query", "header", "outcome"),
    [
        (KEYS["beta"], KEYS["beta"], "stored"),
        (KEYS["beta"], KEYS["acme"], "unauthenticated"),
        (KEYS["beta"], "wrong", "unauthenticated"),
        (f"{KEYS['beta']}&key={KEYS['acme']}", "", "unauthenticated"),
        (f"{KEYS['beta']}&key={KEYS['beta']}", "", "stored"),
    ],
)
async def test_keys_in_several_places_are_judged_together(
    registered: Path, query: str, header: str, outcome: str
) -> None:
    foreseen, answered = await both_ways(registered, f"{OURS}&key={query}", header)
    assert answered[:2] == (outcome, foreseen.status)
    assert foreseen.outcome.value == outcome


@pytest.mark.parametrize("shown", ["", "&key=wrong", f"&key={KEYS['unknown']}"], ids=["none", "wrong", "unknown"])
@pytest.mark.parametrize(
    ("auth", "host", "asked", "outcome"),
    [
        ("auto", "127.0.0.1", "localhost:8000", "stored"),
        ("auto", "127.0.0.1", "postback.example", "unauthenticated"),
        ("open", "192.0.2.1", "localhost", "stored"),
        ("open", "192.0.2.1", "192.0.2.1", "unauthenticated"),
    ],
)
async def test_where_nobody_is_registered_check_goes_by_the_settings_as_the_door_does(  # noqa: PLR0913 - a table's columns
    tmp_path: Path, *, shown: str, auth: str, host: str, asked: str, outcome: str
) -> None:
    async with serving(tmp_path / "postback.db"):
        pass  # an empty database
    foreseen, answered = await both_ways(tmp_path / "postback.db", OURS + shown, asked=asked, auth=auth, host=host)
    assert (foreseen.outcome.value, answered[:2]) == (outcome, (outcome, foreseen.status))
    assert foreseen.known_by == ("open mode: no key is asked for" if outcome == "stored" else None)


@pytest.mark.parametrize(
    ("auth", "shown", "outcome", "sender"),
    [
        ("required", KEYS["beta"], "stored", "beta"),
        ("required", "", "unauthenticated", None),
        ("open", KEYS["acme"], "stored", "ezmob"),
        ("open", "", "stored", "ezmob"),
    ],
)
async def test_the_mode_decides_whether_a_key_is_looked_at(
    registered: Path, auth: str, shown: str, outcome: str, sender: str | None
) -> None:
    foreseen, answered = await both_ways(registered, OURS, shown, auth=auth)
    assert (foreseen.outcome.value, foreseen.sender) == (outcome, sender)
    assert answered == (outcome, foreseen.status, [sender] if sender else [])


@pytest.fixture
def lenient(registered: Path) -> Path:
    """Let one sender's credentials be reported only."""
    database = database_at(f"sqlite:///{registered}")
    ledger = database.ledger()
    ledger.open()
    database.senders().put_sender(registration.sender("beta", preset="ezmob", report_only=["credentials"]), new=False)
    ledger.close()
    database.close()
    return registered


async def test_credentials_that_are_only_reported_are_told(lenient: Path) -> None:
    foreseen, answered = await both_ways(lenient, f"{OURS}&key=wrong")
    assert (foreseen.outcome.value, foreseen.sender, answered[2]) == ("stored", "beta", ["beta"])
    assert foreseen.known_by == "report-only credentials: it shows no good key for this door"
