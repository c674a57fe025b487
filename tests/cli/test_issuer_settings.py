"""The settings of an OAuth issuer: what is enough, what is missing, and what must not be shown."""

import pytest

from service.auth.oauth.issuer import Issuer
from service.settings import WrongSettings, load_settings

pytestmark = pytest.mark.usefixtures("bare")

OAUTH = {"ISSUER": "https://issuer.example/tenant", "AUDIENCE": "https://postback.example"}


def mistakes() -> list[str]:
    """Return the lines that a start with this environment would print."""
    with pytest.raises(WrongSettings) as wrong:
        load_settings()
    assert str(wrong.value).splitlines() == wrong.value.lines
    return wrong.value.lines


def test_nor_is_the_url_of_an_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTBACK_OAUTH_ISSUER", "https://us:hunter2@issuer.example")
    (line,) = mistakes()
    assert line.startswith("POSTBACK_OAUTH_ISSUER: ")
    assert "hunter2" not in line


def test_without_an_issuer_no_token_is_taken() -> None:
    assert load_settings().issuer is None


def test_an_issuer_and_an_audience_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OAUTH.items():
        monkeypatch.setenv(f"POSTBACK_OAUTH_{name}", value)
    assert load_settings().issuer == Issuer(OAUTH["ISSUER"], OAUTH["AUDIENCE"])


def test_the_rest_of_an_issuer_can_be_set_too(monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"JWKS_URL": "https://keys.example/?a=1", "SCOPE": "write", "SENDER_CLAIM": "partner"}
    for name, value in {**OAUTH, **more}.items():
        monkeypatch.setenv(f"POSTBACK_OAUTH_{name}", value)
    expected = Issuer(OAUTH["ISSUER"], OAUTH["AUDIENCE"], "write", ("partner",), "https://keys.example/?a=1")
    assert load_settings().issuer == expected


def test_an_issuer_without_an_audience_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTBACK_OAUTH_ISSUER", OAUTH["ISSUER"])
    assert mistakes() == [
        "POSTBACK_OAUTH_AUDIENCE: with OAUTH_ISSUER it must be set, or tokens for other services would be taken"
    ]


def test_a_wrong_issuer_is_one_line_though_others_depend_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**OAUTH, "ISSUER": "nonsense", "SENDER_CLAIM": "partner"}.items():
        monkeypatch.setenv(f"POSTBACK_OAUTH_{name}", value)
    assert len(mistakes()) == 1
