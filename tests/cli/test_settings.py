"""The settings: the promised names and defaults, and for each wrong value one clear line that names its variable."""

from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from service.settings import PREFIX, Settings, WrongSettings, load_settings, slips, unknown_settings

pytestmark = pytest.mark.usefixtures("bare")

DEFAULTS = {
    "HOST": "127.0.0.1",
    "PORT": 8000,
    "OPERATOR_HOST": "127.0.0.1",
    "OPERATOR_PORT": 8001,
    "OPERATOR_HOSTS": "",
    "DATABASE_URL": "sqlite:///data/postback.db",
    "MIGRATE": False,
    "MIGRATE_WAIT": 60.0,
    "WORKERS": 1,
    "MAX_CONNECTIONS": None,
    "KEEP_ALIVE_SECONDS": 75.0,
    "LOG_FORMAT": "auto",
    "LOG_LEVEL": "info",
    "AUTH": "auto",
    "PRESET": "ezmob",
    "NUMBERS": "point",
    "DUPLICATES": "first",
    "SPOOL_DIR": Path("data/spool"),
    "SPOOL": "on",
    "SPOOL_MAX_BYTES": 2**30,
    "REJECTED_DAYS": 90,
    "REJECTED_MAX_BYTES": 2**30,
    "DUPLICATE_DAYS": 90,
    "CONVERSION_DAYS": 0,
    "TLS_CERT": None,
    "TLS_KEY": None,
    "FORWARDED_ALLOW_IPS": "",
    "STRANGER_RATE": 10,
    "STRANGER_SHARE": 10,
    "OAUTH_ISSUER": "",
    "OAUTH_JWKS_URL": "",
    "OAUTH_AUDIENCE": "",
    "OAUTH_SCOPE": "postback",
    "OAUTH_SENDER_CLAIM": "",
}
UNSHOWN = {"DATABASE_URL", "TLS_CERT", "TLS_KEY", "OAUTH_ISSUER", "OAUTH_JWKS_URL", "OAUTH_AUDIENCE"}
SECRET_URL = "postgresql://receiver:hunter2@db.example/postback?sslmod=require"


def mistakes() -> list[str]:
    """Return the lines that a start with this environment would print."""
    with pytest.raises(WrongSettings) as wrong:
        load_settings()
    assert str(wrong.value).splitlines() == wrong.value.lines
    return wrong.value.lines


def test_the_settings_are_those_of_the_contract_with_its_defaults() -> None:
    settings = load_settings()
    assert {name.upper(): getattr(settings, name) for name in Settings.model_fields} == DEFAULTS
    assert PREFIX == "POSTBACK_"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_a_default_and_a_description(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.default is not PydanticUndefined
    assert field.description
    assert "\n" not in field.description


@pytest.mark.parametrize(
    ("name", "value", "attribute", "read"),
    [
        ("HOST", "::1", "host", "::1"),
        ("PORT", "0", "port", 0),
        ("OPERATOR_PORT", "65535", "operator_port", 65535),
        ("OPERATOR_HOSTS", "service, postback.internal", "operator_hosts", "service, postback.internal"),
        ("DATABASE_URL", "sqlite:////var/p.db", "database_url", "sqlite:////var/p.db"),
        ("DATABASE_URL", "postgres://h1:5432,h2/p", "database_url", "postgres://h1:5432,h2/p"),
        ("MIGRATE", "true", "migrate", True),
        ("MIGRATE_WAIT", "0", "migrate_wait", 0.0),
        ("LOG_FORMAT", "json", "log_format", "json"),
        ("LOG_LEVEL", "critical", "log_level", "critical"),
        ("AUTH", "open", "auth", "open"),
        ("PRESET", "voluum", "preset", "voluum"),
        ("NUMBERS", "cents", "numbers", "cents"),
        ("DUPLICATES", "sum", "duplicates", "sum"),
        ("SPOOL_DIR", "elsewhere", "spool_dir", Path("elsewhere")),
        ("SPOOL", "off", "spool", "off"),
        ("SPOOL_MAX_BYTES", "1048576", "spool_max_bytes", 2**20),
        ("REJECTED_DAYS", "0", "rejected_days", 0),
        ("REJECTED_MAX_BYTES", "1048576", "rejected_max_bytes", 2**20),
        ("DUPLICATE_DAYS", "7", "duplicate_days", 7),
        ("CONVERSION_DAYS", "36500", "conversion_days", 36_500),
        ("FORWARDED_ALLOW_IPS", "10.0.0.1, 192.168.0.0/16", "forwarded_allow_ips", "10.0.0.1, 192.168.0.0/16"),
        ("OAUTH_SCOPE", "postback:write", "oauth_scope", "postback:write"),
    ],
)
def test_a_setting_is_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, attribute: str, read: object
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    assert getattr(load_settings(), attribute) == read


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", ""),
        ("PORT", "65536"),
        ("OPERATOR_PORT", "-1"),
        ("OPERATOR_HOSTS", "*"),
        ("OPERATOR_HOSTS", "service:8001"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "postgresql://db:port/postback"),
        ("DATABASE_URL", "postgresql://db/postback?nonsense=1"),
        ("DATABASE_URL", "mysql://db/postback"),
        ("MIGRATE", "perhaps"),
        ("MIGRATE_WAIT", "-1"),
        ("WORKERS", "0"),
        ("WORKERS", "2"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "verbose"),
        ("AUTH", "none"),
        ("PRESET", "volum"),
        ("NUMBERS", "dots"),
        ("DUPLICATES", "last"),
        ("SPOOL", "maybe"),
        ("SPOOL_MAX_BYTES", "1000"),
        ("REJECTED_DAYS", "-1"),
        ("REJECTED_MAX_BYTES", "1000"),
        ("DUPLICATE_DAYS", "1.5"),
        ("CONVERSION_DAYS", "for ever"),
        ("CONVERSION_DAYS", "36501"),
        ("TLS_CERT", "only-one-of-two.pem"),
        ("TLS_KEY", "only-one-of-two.pem"),
        ("FORWARDED_ALLOW_IPS", "*"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.1,proxy.example"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.1/8"),
        ("FORWARDED_ALLOW_IPS", "0.0.0.0/0"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.1,::/0"),
        ("STRANGER_RATE", "-1"),
        ("STRANGER_SHARE", "0"),
        ("STRANGER_SHARE", "51"),
        ("OAUTH_ISSUER", "issuer.example"),
        ("OAUTH_ISSUER", "http://issuer.example"),
        ("OAUTH_ISSUER", "https://issuer.example?tenant=1"),
        ("OAUTH_ISSUER", "https://issuer.example:port"),
        ("OAUTH_JWKS_URL", "http://issuer.example/keys"),
        ("OAUTH_JWKS_URL", "https://issuer.example/keys"),
        ("OAUTH_AUDIENCE", "https://postback.example"),
        ("OAUTH_SCOPE", ""),
        ("OAUTH_SCOPE", "openid postback"),
        ("OAUTH_SENDER_CLAIM", "partner"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    (line,) = mistakes()
    assert line.startswith(PREFIX)
    assert name in line
    assert value in line or name in UNSHOWN


def test_a_value_with_a_line_break_is_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTBACK_PORT", "80\n00")
    assert len(mistakes()) == 1


def test_several_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"PORT": "x", "LOG_LEVEL": "x", "DATABASE_URL": "x", "WORKERS": "0", "AUTH": "x", "TLS_KEY": "x"}
    for name, value in wrong.items():
        monkeypatch.setenv(PREFIX + name, value)
    lines = mistakes()
    assert len(lines) == len(wrong)
    for name in wrong:
        assert [line for line in lines if line.startswith(PREFIX + name)], name


@pytest.mark.parametrize(
    "url", [SECRET_URL, "hunter2", "sqlite://hunter2:hunter2@/:memory:", "mysql+x://u:hunter2@h/d"]
)
def test_a_wrong_database_url_is_not_shown_for_it_may_hold_a_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("POSTBACK_DATABASE_URL", url)
    (line,) = mistakes()
    assert line.startswith("POSTBACK_DATABASE_URL: ")
    assert "hunter2" not in line


def test_the_database_url_can_come_from_a_file(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / "secret").write_text("sqlite:///from-a-file.db\n", encoding="utf-8")
    monkeypatch.setenv("POSTBACK_DATABASE_URL_FILE", str(bare / "secret"))
    assert load_settings().database_url == "sqlite:///from-a-file.db"


def test_the_file_of_the_database_url_can_be_named_in_a_dotenv(bare: Path) -> None:
    (bare / "secret").write_text("sqlite:///from-a-file.db\n", encoding="utf-8")
    (bare / ".env").write_text("POSTBACK_DATABASE_URL_FILE=secret\n", encoding="utf-8")
    assert load_settings().database_url == "sqlite:///from-a-file.db"


def test_a_wrong_url_in_a_file_is_not_shown_either(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / "secret").write_text(SECRET_URL, encoding="utf-8")
    monkeypatch.setenv("POSTBACK_DATABASE_URL_FILE", str(bare / "secret"))
    (line,) = mistakes()
    assert "hunter2" not in line


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTBACK_DATABASE_URL_FILE", "no-such-file")
    (line,) = mistakes()
    assert "no-such-file" in line


@pytest.mark.parametrize("name", ["secret", ".env"])
def test_a_file_that_is_not_text_is_one_line_too(bare: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (bare / name).write_bytes(b"POSTBACK_HOST=\xff\n")
    if name != ".env":
        monkeypatch.setenv("POSTBACK_DATABASE_URL_FILE", name)
    assert len(mistakes()) == 1


def test_a_dotenv_is_read_and_the_environment_wins(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / ".env").write_text("POSTBACK_PORT=9000\nPOSTBACK_LOG_LEVEL=debug\nUNRELATED=1\n", encoding="utf-8")
    monkeypatch.setenv("POSTBACK_PORT", "9001")
    settings = load_settings()
    assert (settings.port, settings.log_level) == (9001, "debug")


def test_an_option_of_the_command_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTBACK_PORT", "9000")
    assert (load_settings(port=9001).port, load_settings(port=None).port) == (9001, 9000)


def test_certificates_that_cannot_be_used_are_refused_before_the_start(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TLS_CERT", "TLS_KEY"):
        (bare / name).write_text("not PEM", encoding="utf-8")
        monkeypatch.setenv(PREFIX + name, name)
    (line,) = mistakes()
    assert line.startswith("POSTBACK_TLS_")


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("POSTBACK_PROT", "POSTBACK_PROT is not a setting; did you mean POSTBACK_PORT?"),
        ("POSTBACK_DATABASE_URI", "POSTBACK_DATABASE_URI is not a setting; did you mean POSTBACK_DATABASE_URL?"),
        ("POSTBACK_LOGLEVEL", "POSTBACK_LOGLEVEL is not a setting; did you mean POSTBACK_LOG_LEVEL?"),
        ("postback_prot", "postback_prot is not a setting; did you mean POSTBACK_PORT?"),
        ("POSTBACK_XYZZY", "POSTBACK_XYZZY is not a setting"),
    ],
)
def test_a_variable_that_is_no_setting_is_told_with_the_nearest_name(variable: str, sentence: str) -> None:
    assert unknown_settings({variable: "1"}) == [sentence]


def test_known_and_unrelated_variables_are_not_complained_of() -> None:
    known = {PREFIX + name: "1" for name in (*DEFAULTS, "DATABASE_URL_FILE")}
    assert unknown_settings({**known, "PATH": "/bin", "XPOSTBACK_PORT": "1"}) == []


def test_slips_in_a_dotenv_are_told_like_those_in_the_environment(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTBACK_HOTS", "::1")
    (bare / ".env").write_text("POSTBACK_PORT=8080\nPOSTBACK_PROT=1\nPOSTBACK_HOST ::1\nPORT=2\n", encoding="ascii")
    assert slips() == [
        "POSTBACK_HOTS is not a setting; did you mean POSTBACK_HOST?",
        "POSTBACK_PROT is not a setting; did you mean POSTBACK_PORT?",
        "line 3 of .env has no effect; it should be NAME=value",
    ]


def test_a_dotenv_elsewhere_is_none_of_ours(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / ".env").write_text("POSTBACK_PROT=1\nnothing\n", encoding="ascii")
    (bare / "below").mkdir()
    monkeypatch.chdir(bare / "below")
    assert slips() == []


def test_a_wrong_value_in_a_dotenv_is_one_line_like_one_in_the_environment(bare: Path) -> None:
    (bare / ".env").write_text("POSTBACK_PORT=none\nPOSTBACK_LOG_LEVEL=loud\n", encoding="ascii")
    assert [line.partition(":")[0] for line in mistakes()] == ["POSTBACK_PORT=none", "POSTBACK_LOG_LEVEL=loud"]


def test_a_wrong_value_hides_no_slip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTBACK_PORT", "abc")
    monkeypatch.setenv("POSTBACK_PROT", "8000")
    assert mistakes()[0].startswith("POSTBACK_PORT=abc: ")
    assert mistakes()[1] == "POSTBACK_PROT is not a setting; did you mean POSTBACK_PORT?"
