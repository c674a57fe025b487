"""Owns the settings: what can be set, what it means, what it is by default, and a clear line for each wrong value."""

import difflib
import logging
import os
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.auth.access import Mode
from service.auth.networks import Networks
from service.auth.oauth.issuer import SENDER_CLAIMS, Issuer, checked_url
from service.core.presets import PRESETS
from service.core.sender import DuplicatePolicy, NumberFormat, Sender
from service.operator.known_hosts import host_names
from service.storage.admission import Bounds
from service.storage.location import location_of

PREFIX = "POSTBACK_"
_DOTENV = ".env"
logging.getLogger("dotenv.main").disabled = True  # of a line that it cannot read, `slips` tells
_MOST_DAYS = 36_500
Port = Annotated[int, Field(ge=0, le=65535)]
Days = Annotated[int, Field(ge=0, le=_MOST_DAYS)]
_NOT_SHOWN = {"database_url", "tls_key", "oauth_issuer", "oauth_jwks_url", "oauth_audience"}  # may hold a password
_NOT_SETTINGS = {"REQUIRE_TOOLS", "SOAK", "CLOCK", "REVISION"}  # read by the tests and the image build


class WrongSettings(Exception):  # noqa: N818 - a plural is no error class
    """The settings cannot be used; `lines` has one sentence for each mistake."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def _networks(text: str) -> str:
    if "*" in text or any(network.prefixlen == 0 for network in Networks.parse(text).listed):
        raise ValueError("all addresses: then any caller could write one; list the proxies' own")
    return text


def _host_names(text: str) -> str:
    host_names(text)
    return text


def _database_url(url: str) -> str:
    location_of(url)
    return url


def _preset(name: str) -> str:
    if name not in PRESETS:
        near = difflib.get_close_matches(name.lower(), PRESETS, n=1)
        raise ValueError(f"there is no such preset{f'; did you mean {near[0]}?' if near else ''}")
    return name


def _issuer_url(url: str) -> str:
    return checked_url(url) if url else url


def _keys_url(url: str) -> str:
    return checked_url(url, query=True) if url else url


def _scope(scope: str) -> str:
    if not re.fullmatch(r"[!#-\[\]-~]+", scope):  # RFC 6749, 3.3
        raise ValueError("it should be one scope: ASCII without spaces, quotation marks and backslashes")
    return scope


class Settings(BaseSettings):
    """Everything that can be set, from the environment (prefix POSTBACK_) or a .env file."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=_DOTENV, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="address of the public listener, where postbacks arrive")
    port: Port = Field(8000, description="port of the public listener (0: any free one)")
    operator_host: str = Field("127.0.0.1", description="address of the operator listener (metrics, readiness)")
    operator_port: Port = Field(8001, description="port of the operator listener (0: any free one)")
    operator_hosts: Annotated[str, AfterValidator(_host_names)] = Field(
        "", description="names, comma-separated, that the operator listener answers to beside addresses and localhost"
    )
    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        "sqlite:///data/postback.db", description="where conversions are kept (also POSTBACK_DATABASE_URL_FILE)"
    )
    migrate: bool = Field(
        False,  # noqa: FBT003 - a default
        description="run pending migrations at the start (PostgreSQL; SQLite always does), also `run --migrate`",
    )
    migrate_wait: float = Field(
        60.0, ge=0, description="seconds that a start waits for somebody else to run them, before it is refused"
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="processes that share the public port, on PostgreSQL; SQLite takes exactly one"
    )
    max_connections: Annotated[int, Field(ge=16)] | None = Field(
        None, description="connections that may be open at once, of one worker; unset: 128 fewer than `ulimit -n`"
    )
    keep_alive_seconds: Annotated[float, Field(ge=1, le=3600)] = Field(
        75.0, description="seconds that a connection may rest after an answer; longer than a load balancer lets it rest"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="json lines, or console for people; auto: console on a terminal"
    )
    log_level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        "info", description="the least severe level that is written"
    )
    auth: Mode = Field(
        "auto", description="auto: open on loopback, refused elsewhere without keys; required: keys only; open"
    )
    preset: Annotated[str, AfterValidator(_preset)] = Field(
        "ezmob", description=f"how the sender writes postbacks, in open mode: {', '.join(PRESETS)}"
    )
    numbers: NumberFormat = Field(
        "point", description="how that sender writes amounts: point (1.50), comma (1,50) or cents (150)"
    )
    duplicates: DuplicatePolicy = Field(
        "first",
        description="what a repeated click id is, in open mode: first: another conversion only with another goal or "
        "transaction id; click: never another one; sum: always another one, unless its transaction id is known",
    )
    spool_dir: Path = Field(
        Path("data/spool"), description="where postbacks wait while PostgreSQL is away; SQLite has no use for it"
    )
    spool: Literal["on", "off"] = Field(
        "on", description="on: while PostgreSQL is away, keep postbacks in SPOOL_DIR and answer 200; off: answer 503"
    )
    spool_max_bytes: int = Field(
        2**30, ge=2**20, description="bytes that may wait in the spool of one worker; beyond them the answer is 503"
    )
    rejected_days: Days = Field(90, description="days that rejected postbacks are kept; 0: for ever")
    rejected_max_bytes: int = Field(
        2**30, ge=2**20, description="bytes that rejected postbacks may take; beyond them the oldest are deleted"
    )
    stranger_share: Annotated[int, Field(ge=1, le=50)] = Field(
        10,
        description="percent of REJECTED_MAX_BYTES for what strangers send; beyond them it is counted, and not kept",
    )
    duplicate_days: Days = Field(90, description="days that the arrivals of duplicates are kept; 0: for ever")
    conversion_days: Days = Field(
        0, description="days that conversions are kept; 0: for ever. What is deleted can be stored, and paid, again"
    )
    tls_cert: Path | None = Field(None, description="PEM certificate chain of the public listener (with TLS_KEY)")
    tls_key: Path | None = Field(
        None, description="PEM private key of the public listener (with TLS_CERT)", validate_default=True
    )
    forwarded_allow_ips: Annotated[str, AfterValidator(_networks)] = Field(
        "", description="proxies whose X-Forwarded-For is believed: addresses or networks, comma-separated"
    )
    stranger_rate: Annotated[int, Field(ge=0, le=100_000)] = Field(
        10, description="unauthenticated postbacks a second from one address, before the answer is 429; 0: any number"
    )
    oauth_issuer: Annotated[str, AfterValidator(_issuer_url)] = Field(
        "", description="OAuth 2.0 server whose bearer tokens are taken, exactly as their iss has it (docs/oauth.md)"
    )
    oauth_jwks_url: Annotated[str, AfterValidator(_keys_url)] = Field(
        "", description="where its keys are; empty: where its metadata says (RFC 8414, OpenID discovery)"
    )
    oauth_audience: str = Field(
        "", description="what a token's aud must have: this service's name there", validate_default=True
    )
    oauth_scope: Annotated[str, AfterValidator(_scope)] = Field("postback", description="the scope a token must have")
    oauth_sender_claim: str = Field(
        "",
        description=f"the claim that says who sends; empty: the first there is of {', '.join(SENDER_CLAIMS)}",
    )

    @property
    def operator_names(self) -> frozenset[str]:
        """The names that the operator listener answers to."""
        return host_names(self.operator_hosts) | {self.operator_host}

    @property
    def sender(self) -> Sender:
        """Who sends, in open mode."""
        return replace(PRESETS[self.preset], numbers=self.numbers, duplicates=self.duplicates)

    @property
    def rejected_bounds(self) -> Bounds:
        """Bytes for what is rejected, of strangers and of known senders."""
        strangers = self.rejected_max_bytes * self.stranger_share // 100
        return Bounds(strangers, self.rejected_max_bytes - strangers)

    @property
    def issuer(self) -> Issuer | None:
        """Whose bearer tokens are taken, None if nobody's are."""
        if not self.oauth_issuer:
            return None
        claims = (self.oauth_sender_claim,) if self.oauth_sender_claim else SENDER_CLAIMS
        return Issuer(self.oauth_issuer, self.oauth_audience, self.oauth_scope, claims, self.oauth_jwks_url or None)

    @field_validator("workers")
    @classmethod
    def _check_workers(cls, workers: int, known: ValidationInfo) -> int:
        if workers > 1 and str(known.data.get("database_url", "")).startswith("sqlite"):
            raise ValueError("SQLite has one writer, so one process serves one file; use 1, or PostgreSQL")
        return workers

    @field_validator("tls_key")
    @classmethod
    def _check_tls(cls, key: Path | None, known: ValidationInfo) -> Path | None:
        cert: Path | None = known.data.get("tls_cert")
        if (cert is None) != (key is None):
            raise ValueError("TLS_CERT and TLS_KEY belong together: set both, or neither")
        for path in filter(None, (cert, key)):
            if not path.is_file():
                raise ValueError(f"there is no file {path} (TLS_CERT, TLS_KEY)")
        if cert and key:
            _load_certificate(cert, key)
        return key

    @field_validator("oauth_jwks_url", "oauth_audience", "oauth_sender_claim")
    @classmethod
    def _check_oauth(cls, value: str, known: ValidationInfo) -> str:
        issuer = known.data.get("oauth_issuer")
        if value and issuer == "":
            raise ValueError("it is of no use without OAUTH_ISSUER, which says whose tokens are taken")
        if not value and issuer and known.field_name == "oauth_audience":
            raise ValueError("with OAUTH_ISSUER it must be set, or tokens for other services would be taken")
        return value


def _load_certificate(cert: Path, key: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"TLS_CERT and TLS_KEY cannot be used: {error.args[-1]}") from None


def load_settings(**overrides: object) -> Settings:
    """Read the settings; `overrides` (command-line options) win over the environment. Raises WrongSettings."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**{**_from_files(environment()), **given})  # type: ignore[arg-type]  # pydantic checks each value
    except ValidationError as error:
        raise WrongSettings([*(_mistake(item) for item in _items(error)), *slips()]) from None
    except (OSError, UnicodeError) as error:
        raise WrongSettings([f"a settings file (.env, {PREFIX}DATABASE_URL_FILE) cannot be read: {error}"]) from None


def environment() -> dict[str, str | None]:
    """Return all variables: those of the process, and those of a .env file that the process has not got."""
    return {**dotenv_values(_DOTENV), **os.environ}


def slips() -> list[str]:
    """Return a sentence for each slip of the pen in the environment or a .env file that no value shows."""
    return [*unknown_settings(environment()), *_unreadable_lines()]


def _unreadable_lines() -> list[str]:
    try:
        with Path(_DOTENV).open(encoding="utf-8") as file:
            wrong = [binding.original for binding in parse_stream(file) if binding.error]
    except FileNotFoundError:
        return []
    return [f"line {line.line} of {_DOTENV} has no effect; it should be NAME=value" for line in wrong]


def unknown_settings(variables: Iterable[str]) -> list[str]:
    """Return a sentence for each POSTBACK_ variable that is no setting: probably a slip of the pen."""
    known = {name.upper() for name in Settings.model_fields} | {"DATABASE_URL_FILE"}
    sentences = []
    for name in sorted(variables):
        setting = name.upper().removeprefix(PREFIX)
        if name.upper().startswith(PREFIX) and setting not in known | _NOT_SETTINGS:
            close = difflib.get_close_matches(setting, known, 1)
            sentences.append(f"{name} is not a setting" + (f"; did you mean {PREFIX}{close[0]}?" if close else ""))
    return sentences


def _from_files(environment: Mapping[str, str | None]) -> dict[str, str]:
    """Read `POSTBACK_DATABASE_URL_FILE`: a secret (the password in the URL) mounted as a file."""
    path = environment.get(f"{PREFIX}DATABASE_URL_FILE")
    return {"database_url": Path(path).read_text(encoding="utf-8").strip()} if path else {}


def _items(error: ValidationError) -> Iterator[tuple[str, str, object]]:
    for item in error.errors(include_url=False, include_context=False):
        yield str(item["loc"][0]), item["msg"].removeprefix("Value error, "), item["input"]


def _mistake(item: tuple[str, str, object]) -> str:
    name, message, given = item
    shown = "" if name in _NOT_SHOWN else f"={str(given).encode('unicode_escape').decode()}"
    return f"{PREFIX}{name.upper()}{shown}: {message.replace('Input should', 'it should', 1)}"
