"""Keys from outside, on both engines: made by the README's commands, revoked in time, and their secrets nowhere."""

import signal
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.outside.examining import plainly, settings_of
from tests.support.outside.harness import Service, migrate, wait_for
from tests.support.outside.postgres import PostgresServer
from tests.support.outside.registering import FORM, JSON, NDJSON, after, done, sent, told
from tests.support.outside.wire import request

pytestmark = [pytest.mark.system, pytest.mark.proof]


def curl(service: Service, target: str, *options: str) -> str:
    """Return what a person sees: the status, and the body in one line."""
    host, port = service.public
    asked = ["curl", "-s", "-g", "-w", " %{http_code}", *options, f"http://{host}:{port}{target}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout


def test_the_first_key_opens_the_door_in_all_four_ways_and_closes_it_to_others(tmp_path: Path, url: str) -> None:
    made = told(tmp_path, url, "keys", "create", "ezmob")
    key, pasted = made["key"], made["postback_url"].partition(":8000")[2]
    with Service(tmp_path, {"DATABASE_URL": url}) as service:
        filled = pasted.replace("{click_id}", "a").replace("{value}", "1.50")
        assert curl(service, filled) == "Success 200"
        ways: list[list[str]] = [["-H", f"Authorization: Bearer {key}"], ["-H", f"X-API-Key: {key}"]]
        ways += [["-u", f"ezmob:{key}"], ["-u", f"{key}:"]]
        for number, way in enumerate(ways):
            assert curl(service, f"/postback?c=b{number}&value=1", *way) == "Success 200"
        assert curl(service, "/postback?c=c&value=1").endswith(" 401")
        assert curl(service, f"/postback?c=c&value=1&key={key[:-1]}").endswith(" 401")
        assert service.sql("SELECT count(*), min(sender), max(sender) FROM conversion") == [(5, "ezmob", "ezmob")]
        assert service.terminate(signal.SIGTERM) == 0
    (listed,) = told(tmp_path, url, "keys", "list")["keys"]
    assert listed["last_used_at"] is not None
    said = [line["event"] for line in service.log_lines()]
    assert ("keys_required" in said, "open_mode" in said) == (True, False)


def test_a_service_that_is_open_asks_for_keys_soon_after_the_first_was_made(tmp_path: Path, url: str) -> None:
    with Service(tmp_path, {"DATABASE_URL": url}) as service:
        assert service.postback("open").status == 200
        made: dict[str, Any] = {}
        after(
            lambda: made.update(told(tmp_path, url, "keys", "create", "ezmob")),
            lambda: service.postback("closed").status == 401 or None,
        )
        assert service.get(f"/postback?c=known&value=1&key={made['key']}").status == 200
        said = wait_for(lambda: changes(service), 5)
        assert said == ["open_mode", "keys_required"]


def changes(service: Service) -> list[str] | None:
    """Return what the log says of who is let in, once it has changed."""
    said = [str(line["event"]) for line in service.log_lines() if line["event"] in {"open_mode", "keys_required"}]
    return said if len(said) > 1 else None


def test_what_is_revoked_disabled_or_rotated_is_seen_by_everybody_within_ten_seconds(
    tmp_path: Path, url: str, figures: Callable[[str], None]
) -> None:
    replicas = 1 if url.startswith("sqlite") else 2
    first, second = (told(tmp_path, url, "keys", "create", "ezmob") for _ in range(2))
    with ExitStack() as stack:
        services = [stack.enter_context(Service(tmp_path, {"DATABASE_URL": url})) for _ in range(replicas)]
        numbers = iter(range(10_000))

        def statuses(key: str) -> set[int]:
            return {one.get(f"/postback?c={next(numbers)}&value=1&key={key}").status for one in services}

        assert statuses(first["key"]) == statuses(second["key"]) == {200}
        revoked = after(
            lambda: done(tmp_path, url, "keys", "revoke", first["id"]), lambda: statuses(first["key"]) == {401} or None
        )
        assert statuses(second["key"]) == {200}
        new: dict[str, Any] = {}
        after(
            lambda: new.update(told(tmp_path, url, "keys", "rotate", second["id"], "--overlap", "7d")),
            lambda: statuses(new["key"]) == {200} or None,
        )
        assert statuses(second["key"]) == {200}
        disabled = after(
            lambda: done(tmp_path, url, "senders", "disable", "ezmob"), lambda: statuses(new["key"]) == {403} or None
        )
        after(lambda: done(tmp_path, url, "senders", "enable", "ezmob"), lambda: statuses(new["key"]) == {200} or None)
        expiring = services[0].metrics().total("postback_key_expiry_timestamp_seconds") - time.time()
        assert 6 * 86400 < expiring <= 7 * 86400
    figures(
        f"{url.partition(':')[0]}, {replicas} replicas: revoked after {revoked:.1f} s, disabled after {disabled:.1f} s"
    )


def test_a_restart_while_the_database_is_away_still_knows_its_keys(tmp_path: Path) -> None:
    with PostgresServer() as server:
        url = server.url()
        migrate(tmp_path, url)
        valid, revoked = (told(tmp_path, url, "keys", "create", "ezmob") for _ in range(2))
        done(tmp_path, url, "keys", "revoke", revoked["id"])
        with Service(tmp_path, {"DATABASE_URL": url}) as service:
            assert service.get(f"/postback?c=before&value=1&key={valid['key']}").outcome == "stored"
            server.stop(signal.SIGQUIT)
            assert service.get(f"/postback?c=during&value=1&key={valid['key']}").outcome == "spooled"
            assert service.terminate() == 0
        with Service(tmp_path, {"DATABASE_URL": url}) as service:
            assert service.get(f"/postback?c=restarted&value=1&key={valid['key']}").outcome == "spooled"
            assert service.get(f"/postback?c=revoked&value=1&key={revoked['key']}").status == 401
            assert service.get("/postback?c=nobody&value=1").status == 401
        copy = tmp_path / "data" / "spool" / "roster.json"
        assert (copy.stat().st_mode & 0o777, valid["key"][17:].encode() in copy.read_bytes()) == (0o600, False)
        copy.unlink()
        with Service(tmp_path, {"DATABASE_URL": url}) as service:  # whose keys these are, nobody here can know
            answer = service.get(f"/postback?c=unknown&value=1&key={valid['key']}")
            assert (answer.status, answer.outcome) == (503, "storage_unavailable")
            server.start()
            wait_for(
                lambda: service.get(f"/postback?c=back&value=1&key={valid['key']}").status == 200 or None, 20, every=0.2
            )
            assert service.get("/postback?c=nobody&value=1").status == 401


def planted(key: str) -> dict[str, bytes]:
    """Return requests that carry a secret wherever one can stand, valid ones and others."""
    text = key.encode()
    basic = {"Authorization": f"Basic {b64encode(f'me:{key}'.encode()).decode()}"}
    bearer = {"Authorization": f"Bearer {key}"}

    def posted(path: str, body: bytes, content_type: str, headers: Mapping[str, str] = bearer) -> bytes:
        return request(path, method="POST", headers={"Content-Type": content_type, **headers}, body=body)

    return {
        "query": request(f"/postback?c=a&value=1&key={key}"),
        "query, twice": request(f"/conversion?key={key}&c=b&value=1&key={key}"),
        "query, rejected": request(f"/postback?c=c&value=x&key={key}"),
        "pixel": request(f"/pixel.gif?c=d&value=1&key={key}"),
        "header": request("/postback?c=e&value=1", headers={"X-API-Key": key}),
        "bearer": request("/postback?c=f&value=x", headers=bearer),
        "basic": request("/postback?c=g&value=1", headers=basic),
        "two ways, two keys": request(f"/postback?c=h&value=1&key={key}0", headers=bearer),
        "another parameter": request(f"/postback?c=i&value=1&token={key}", headers=bearer),
        "the click id": request(f"/postback?c={key}&value=1", headers=bearer),
        "the value": request(f"/postback?c=j&value={key}", headers=bearer),
        "a name": request(f"/postback?c=k&value=1&{key}=1", headers=bearer),
        "a wrong case": request(f"/postback?c=l&value=1&KEY={key.upper()}", headers=bearer),
        "percent-encoded": request(f"/postback?c=m&value=1&k%65y={key.replace('_', '%5f')}", headers=bearer),
        "a form": posted("/postback", b"c=n&value=1&key=" + text, FORM, {}),
        "json": posted("/postback", b'{"c":"o","value":1,"key":"%b"}' % text, JSON),
        "broken json": posted("/postback", b'{"c":"p","key":"%b' % text, JSON),
        "no media type of ours": posted("/postback", text, f"text/{key}"),
        "an oversized body": posted("/postback", b"c=q&value=1&k=" + text + b"&x=" + b"x" * 70_000, FORM),
        "a body cut at the limit": posted("/postback", b"x" * (64 * 1024 - 40) + text + b"y" * 2000, FORM),
        "an oversized url": request(f"/postback?c=r&value=1&x={'x' * 9000}{key}", headers=bearer),
        "rows": posted("/postbacks", b'{"c":"s","value":"%b"}\n{"c":"t","value":1,"k":"%b"}\n' % (text, text), NDJSON),
        "rows of csv": posted("/postbacks", b"c,value,key\nu,1,%b\nv,x,%b\n" % (text, text), "text/csv"),
        "a batch's query": posted(f"/postbacks?token={key}", b"{}", NDJSON),
        "a batch without a key of its own": posted("/postbacks", b'{"c":"w","key":"%b"}\n' % text, NDJSON, {}),
        "a wrong path": request(f"/{key}?key={key}", headers=bearer),
        "a wrong method": request(f"/postback?key={key}", method="PUT", headers=bearer),
        "a host": request("/postback?c=x&value=1", host=key),
        "what is not HTTP": text + b"\r\n\r\n",
        "a broken line": b"GET /postback?c=y&key=" + text + b" HTTP/1.1\r\nHost: x\r\n" + text + b"\r\n\r\n",
    }


@pytest.mark.parametrize("engine", ["sqlite", "spool"])
def test_a_secret_is_in_no_log_metric_file_answer_or_command_line(
    tmp_path: Path, engine: str, figures: Callable[[str], None]
) -> None:
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'p.db'}"
        if engine == "spool":
            server = stack.enter_context(PostgresServer())
            url = server.url()
            migrate(tmp_path, url)
        key = told(tmp_path, url, "keys", "create", "ezmob")["key"]
        pixel = told(tmp_path, url, "keys", "create", "ezmob", "--door", "pixel")["key"]
        service = stack.enter_context(Service(tmp_path, {"DATABASE_URL": url, "LOG_LEVEL": "debug"}))
        if engine == "spool":
            server.stop(signal.SIGQUIT)  # everything goes into the journal
        asked = [*planted(key).values(), *planted(pixel).values()]
        answers = [sent(service, one) for one in asked]
        outcomes = {answer.outcome for answer in answers}
        expected = {"spooled"} if engine == "spool" else {"stored", "forbidden", "invalid_value", "unauthenticated"}
        assert outcomes >= expected
        told_back = [(repr(answer.headers).encode() + answer.body) for answer in answers]
        pages = [service.ask_operator("/metrics").body, Path(f"/proc/{service.pid}/cmdline").read_bytes()]
        pages.append(Path(f"/proc/{service.pid}/environ").read_bytes())
        assert service.terminate() == 0
        files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        hits = [
            str(where)
            for where, held in [*files.items(), *enumerate(told_back), *enumerate(pages)]
            for secret in (key[17:], pixel[17:])
            if secret.lower().encode()[:24] in held.lower()
        ]
        assert hits == []
        figures(
            f"{engine}: {len(asked)} requests with a secret, 0 hits in {len(files)} files and {len(answers)} answers"
        )


def test_doctor_takes_a_401_for_right_where_keys_are_asked_for(tmp_path: Path, url: str) -> None:
    told(tmp_path, url, "keys", "create", "ezmob")
    with Service(tmp_path, {"DATABASE_URL": url}) as service:
        examined = plainly(tmp_path, "--json", "--probe", **settings_of(service))
        assert examined.named("wrong") == set()
        state, sentence = examined.check("probe")
        assert (state, "without an API key was answered 401" in sentence) == ("ok", True)
