"""Open mode: only direct requests to a loopback name, and only on addresses the rule allows."""

import pytest

from service.auth.authenticator import Mode, StartRefused, authenticate_open, choose_authenticator
from service.outcome import Outcome, Rejected
from service.sender import EZMOB, PRESETS
from tests import builders


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "127.9.9.9", "[::1]", "[::1]:8000"]
)
def test_a_direct_request_to_a_loopback_name_is_ezmobs(host: str) -> None:
    assert authenticate_open(builders.raw(host=host.encode())) is EZMOB


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.com",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "10.0.0.1",
        "[::2]",
        "0.0.0.0",
        "localhost:x",
        "\xff",
    ],
)
def test_any_other_host_is_unauthenticated(host: str) -> None:
    with pytest.raises(Rejected) as rejected:
        authenticate_open(builders.raw(host=host.encode("latin-1")))
    assert rejected.value.outcome is Outcome.UNAUTHENTICATED


def test_a_request_through_a_proxy_is_unauthenticated() -> None:
    with pytest.raises(Rejected) as rejected:
        authenticate_open(builders.raw(forwarded=True))
    assert rejected.value.outcome is Outcome.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("mode", "host"),
    [("auto", "127.0.0.1"), ("auto", "::1"), ("auto", "localhost"), ("open", "0.0.0.0"), ("open", "127.0.0.1")],
)
def test_the_service_starts_open_where_the_rule_allows(mode: Mode, host: str) -> None:
    authenticate = choose_authenticator(mode, host, PRESETS["voluum"])
    assert authenticate(builders.raw()) is PRESETS["voluum"]


@pytest.mark.parametrize(
    ("mode", "host"),
    [("auto", "0.0.0.0"), ("auto", "::"), ("auto", "192.168.1.2"), ("auto", "example.com"), ("required", "127.0.0.1")],
)
def test_elsewhere_the_start_is_refused_with_the_command_that_makes_a_key(mode: Mode, host: str) -> None:
    with pytest.raises(StartRefused, match="python -m service keys create"):
        choose_authenticator(mode, host)
