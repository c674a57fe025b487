"""What a person says is meant: read once, all mistakes told at once."""

from datetime import UTC, datetime, timedelta

import pytest

from service.operations.errors import WrongValues
from service.operations.selection import Chosen, Filters, Wanted
from tests.support.registered import KEY, PUBLIC

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_nothing_said_means_everything_until_now() -> None:
    assert Filters().rejected([], NOW) == Chosen()
    assert Filters().conversions(NOW) == Wanted(until=NOW)


def test_what_is_said_is_read_against_the_clock_that_is_given() -> None:
    filters = Filters("ezmob", "7d", "2026-01-30", "x")
    since, until = NOW - timedelta(days=7), datetime(2026, 1, 30, tzinfo=UTC)
    assert filters.rejected(["invalid_value"], NOW) == Chosen(("invalid_value",), "ezmob", since, until, "x")
    assert filters.conversions(NOW, tests=True) == Wanted("ezmob", "x", since, until, tests=True)


def test_what_a_wrong_clock_put_after_now_is_meant_if_that_is_said() -> None:
    assert Filters(until="2027-01-01").conversions(NOW).until == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("key", [KEY, KEY[:30], KEY[:17], KEY[:16], PUBLIC])
def test_the_public_id_is_taken_out_of_a_key_whole_or_cut_off(key: str) -> None:
    assert Filters(key_id=key).rejected([], NOW) == Chosen(key_id=PUBLIC)


@pytest.mark.parametrize("key", ["", "maria", KEY[:15], KEY[17:], f"x{KEY}"])
def test_what_holds_no_id_of_a_key_is_refused_and_no_secret_is_repeated(key: str) -> None:
    with pytest.raises(WrongValues) as wrong:
        Filters(key_id=key).rejected([], NOW)
    assert [one.field for one in wrong.value.mistakes] == ["key_id"]
    assert len(wrong.value.mistakes[0].value) <= 13


def test_every_mistake_is_told_with_the_value_that_has_it() -> None:
    with pytest.raises(WrongValues) as wrong:
        Filters(since="soon", until="9x").rejected(["stored", "invalid_value"], NOW)
    assert [(one.field, one.value) for one in wrong.value.mistakes] == [
        ("outcome", "stored"),
        ("since", "soon"),
        ("until", "9x"),
    ]
    assert str(wrong.value).count("; until 9x: write a time") == 1


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "fe80::1%eth0", "192.0.2.7:443", "[2001:db8::7]:443"])
def test_an_address_is_taken_as_it_may_have_been_told(address: str) -> None:
    assert Filters(client_ip=address).rejected([], NOW).client_ip == address


@pytest.mark.parametrize("text", ["1.2.3", "1.2.3.256", "localhost", "192.0.2.0/24", "", ":"])
def test_what_is_no_address_is_a_mistake(text: str) -> None:
    with pytest.raises(WrongValues) as wrong:
        Filters(client_ip=text).rejected([], NOW)
    assert [(one.field, one.value) for one in wrong.value.mistakes] == [("address", text)]
