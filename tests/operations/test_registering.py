"""Registering, on every engine: senders, keys and secrets are values that any surface can show."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from service.auth.keys import digest
from service.core.presets import EZMOB, PRESETS
from service.operations.errors import Ended, Mistake, Refused, WrongValues
from service.operations.register import keys, secrets, senders
from service.operations.register.registry import registered, registry, writes_like
from service.storage.senders import Senders
from tests.support.engines import Engine

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
BASE = "https://track.example.com"


@pytest.fixture
def opened(engine: Engine) -> Iterator[Senders]:
    """Open what is registered, to be changed."""
    with registry(engine.database) as senders_of:
        yield senders_of


def mistakes_of(make: Callable[[], object]) -> list[Mistake]:
    with pytest.raises(WrongValues) as wrong:
        make()
    return list(wrong.value.mistakes)


def test_a_sender_is_registered_changed_and_switched_off_and_on(engine: Engine, opened: Senders) -> None:
    new = senders.NewSender("acme", senders.Changes(preset="tune", rate=5, networks=["192.0.2.0/24"]))
    added = senders.add(opened, new, NOW)
    assert (added["preset"], added["rate_per_second"], added["created_at"]) == ("tune", 5, NOW)
    emptied = senders.change(opened, "acme", senders.Changes(rate=0, networks=[], oauth_subject="app"), NOW)
    assert (emptied["preset"], emptied["rate_per_second"], emptied["networks"]) == ("tune", None, [])
    assert senders.change(opened, "acme", senders.Changes(oauth_subject=""), NOW)["oauth_subject"] is None
    assert senders.disable(opened, "acme", NOW)["disabled_at"] == NOW
    assert senders.disable(opened, "acme", NOW + DAY)["disabled_at"] == NOW
    assert senders.enable(opened, "acme", NOW)["disabled_at"] is None
    assert senders.listed(registered(engine.database), NOW) == [senders.show(opened.rows(), "acme", NOW)]


def test_lists_of_words_grow_and_the_other_lists_are_replaced(opened: Senders) -> None:
    first = senders.Changes(
        fields={"aff": "goal"},
        statuses={"Signup": "pending"},
        currencies=["hrk"],
        placeholders=["0"],
        networks=["192.0.2.0/24"],
        required=["click_id"],
        report_only=["rate"],
    )
    senders.add(opened, senders.NewSender("acme", first), NOW)
    more = senders.Changes(
        fields={"sum": "value", "aff": "transaction_id"},
        statuses={"signup": "approved", "ftd": "approved"},
        currencies=["USDT", "HRK"],
        placeholders=["X", "x"],
        networks=["198.51.100.0/24"],
        required=["value"],
        report_only=["address"],
    )
    changed = senders.change(opened, "acme", more, NOW)
    assert dict(list(changed["fields"].items())[:2]) == {"aff": "transaction_id", "sum": "value"}
    assert changed["statuses"] == {"signup": "approved", "ftd": "approved"}
    assert (changed["currencies"], changed["placeholders"]) == (["HRK", "USDT"], ["0", "x"])
    assert (changed["networks"], changed["required"]) == (["198.51.100.0/24"], ["value"])
    assert changed["report_only"] == ["address"]
    assert senders.change(opened, "acme", senders.Changes(rate=5), NOW)["currencies"] == ["HRK", "USDT"]


def test_a_list_that_is_emptied_first_has_only_what_is_given_then(opened: Senders) -> None:
    first = senders.Changes(
        fields={"aff": "goal"}, statuses={"ftd": "approved"}, currencies=["HRK"], placeholders=["0"]
    )
    senders.add(opened, senders.NewSender("acme", first), NOW)
    emptied = senders.Changes(fields={"sum": "value"}, currencies=["BTC"], emptied=["fields", "currencies", "statuses"])
    changed = senders.change(opened, "acme", emptied, NOW)
    assert changed["fields"] == {"sum": "value", **EZMOB.fields}
    assert (changed["statuses"], changed["currencies"], changed["placeholders"]) == ({}, ["BTC"], ["0"])


def test_every_mistake_in_what_is_asked_of_a_sender_is_told_at_once() -> None:
    found = mistakes_of(
        lambda: senders.Changes(
            preset="x", fields={"a": "b", "key": "goal"}, required=["y"], networks=["z"], statuses={"": "approved"}
        )
    )
    assert [(one.field, one.value) for one in found] == [
        ("preset", "x"),
        ("field", "a=b"),
        ("field", "key=goal"),
        ("require", "y"),
        ("network", "z"),
        ("status", "=approved"),
    ]
    assert found[0].sentence == f"there are {', '.join(PRESETS)}"
    assert mistakes_of(lambda: keys.Asked("ezmob", doors=["cellar"]))[0].value == "cellar"


@pytest.mark.parametrize("name", ["", "Acme", "unknown", "a b", "-a", "a" * 64])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="lower-case"):
        senders.NewSender(name)


def test_a_name_that_is_taken_is_refused_and_one_that_nobody_has(opened: Senders) -> None:
    senders.add(opened, senders.NewSender("acme"), NOW)
    with pytest.raises(Refused, match="registered already"):
        senders.add(opened, senders.NewSender("acme"), NOW)
    for act in (senders.enable, senders.disable):
        with pytest.raises(Refused, match="nobody"):
            act(opened, "nobody", NOW)


def test_a_key_is_told_once_and_kept_as_a_hash(engine: Engine, opened: Senders) -> None:
    made = keys.create(opened, keys.Asked("voluum", doors=["pixel"], label="shop"), "maria", NOW)
    assert made.postback_url(BASE) == f"{BASE}/pixel.gif?cid={{externalid}}&payout={{payout}}&key={made.text}"
    assert made.text not in repr(made)
    assert made.members(BASE)["postback_url"] == made.postback_url(BASE)
    assert engine.rows("SELECT secret_sha256 FROM api_key") == [(digest(made.text[17:]).hex(),)]
    (listed,) = keys.listed(opened.rows(), "voluum", NOW)
    assert (listed["state"], listed["created_by"], listed["label"]) == ("live", "maria", "shop")
    with pytest.raises(Refused, match="nobody"):
        keys.create(opened, keys.Asked("nobody"), "maria", NOW)


def test_the_states_of_a_key_follow_the_clock_that_is_given(opened: Senders) -> None:
    made = keys.create(opened, keys.Asked("ezmob", expires_at=NOW + DAY), "maria", NOW)

    def state(now: datetime) -> str:
        return keys.listed(opened.rows(), None, now)[0]["state"]

    assert [state(NOW), state(NOW + DAY)] == ["live", "expired"]
    senders.disable(opened, "ezmob", NOW)
    assert state(NOW) == "sender_disabled"
    assert keys.revoke(opened, made.text, NOW)["state"] == "revoked"
    assert keys.revoke(opened, made.id, NOW + DAY)["revoked_at"] == NOW


def test_a_rotated_key_lives_as_long_as_the_old_one_was_made_for(opened: Senders) -> None:
    old = keys.create(opened, keys.Asked("ezmob", is_test=True, expires_at=NOW + 90 * DAY), "maria", NOW)
    later = NOW + 80 * DAY
    new = keys.rotate(opened, old.id, later + 7 * DAY, "paul", later)
    assert new.asked == keys.Asked("ezmob", True, ["postback", "batch"], "", later + 90 * DAY)  # noqa: FBT003 - a value
    assert new.replaced == (old.id, later + 7 * DAY)
    assert keys.rotate(opened, new.id, later + 900 * DAY, "paul", later).replaced == (new.id, later + 90 * DAY)
    keys.revoke(opened, old.id, later)
    with pytest.raises(Ended, match="revoked"):
        keys.rotate(opened, old.id, later + DAY, "paul", later)
    with pytest.raises(Refused, match="no key of that id;"):
        keys.rotate(opened, "nothing", later + DAY, "paul", later)
    mistyped = new.id[:-1] + ("a" if new.id[-1] != "a" else "b")
    with pytest.raises(Refused, match=f"did you mean {new.id}"):
        keys.revoke(opened, mistyped, later)


@pytest.mark.parametrize(
    ("host", "tls", "public_url", "base"),
    [
        ("127.0.0.1", False, None, "http://127.0.0.1:8000"),
        ("::1", True, None, "https://[::1]:8000"),
        ("0.0.0.0", True, None, "https://YOUR-HOST"),
        ("0.0.0.0", False, "https://track.example.com/", BASE),
    ],
)
def test_where_senders_reach_the_service_is_what_the_settings_tell(
    *,
    host: str,
    tls: bool,
    public_url: str | None,
    base: str,
) -> None:
    assert keys.base_url(host, 8000, tls=tls, public_url=public_url) == base


def test_a_secret_is_told_once_listed_without_itself_and_revoked(opened: Senders) -> None:
    senders.add(opened, senders.NewSender("acme"), NOW)
    made = secrets.create(opened, "acme", NOW)
    assert made.secret not in repr(made)
    listed: dict[str, object] = {"id": made.id, "sender": "acme", "created_at": NOW, "revoked_at": None}
    assert secrets.listed(opened.rows(), "acme") == [listed]
    assert secrets.revoke(opened, made.id, NOW) == {**listed, "revoked_at": NOW}
    assert secrets.revoke(opened, made.id, NOW + DAY)["revoked_at"] == NOW
    with pytest.raises(Refused, match="no such secret;"):
        secrets.revoke(opened, "nothing", NOW)
    with pytest.raises(Refused, match=f"did you mean {made.id}"):
        secrets.revoke(opened, made.id[:-1], NOW)
    with pytest.raises(Refused):
        secrets.create(opened, "nobody", NOW)


def test_who_writes_a_file_is_registered_or_a_preset_or_the_default(opened: Senders) -> None:
    senders.add(opened, senders.NewSender("acme", senders.Changes(numbers="comma")), NOW)
    rows = opened.rows()
    assert writes_like(rows, "acme", EZMOB).numbers == "comma"
    assert writes_like(rows, "tune", EZMOB) is PRESETS["tune"]
    assert writes_like(rows, None, EZMOB) is EZMOB
    with pytest.raises(Refused, match="nobody"):
        writes_like(rows, "nobody", EZMOB)


def test_without_a_database_nothing_is_registered(engine: Engine) -> None:
    assert not registered(engine.database).senders


@pytest.mark.parametrize("name", ["c", "C", "value", "aff"])
def test_what_a_sender_must_send_is_never_dropped(opened: Senders, name: str) -> None:
    senders.add(opened, senders.NewSender("acme", senders.Changes(fields={"aff": "click_id"})), NOW)
    with pytest.raises(Refused, match=r"cannot be dropped: it is the (click_id|value) of acme, which it must send"):
        senders.change(opened, "acme", senders.Changes(never_keep=["email", name]), NOW)
    assert senders.show(opened.rows(), "acme", NOW)["never_keep"] == []


def test_what_is_dropped_is_never_required(opened: Senders) -> None:
    senders.add(opened, senders.NewSender("acme", senders.Changes(never_keep=["goal"])), NOW)
    with pytest.raises(Refused, match="goal cannot be dropped"):
        senders.change(opened, "acme", senders.Changes(required=["click_id", "goal"]), NOW)


@pytest.mark.parametrize("name", ["key", "TEST", "", " "])
def test_every_senders_own_parameters_are_never_dropped(name: str) -> None:
    assert [wrong.field for wrong in mistakes_of(lambda: senders.Changes(never_keep=[name]))] == ["never_keep"]
