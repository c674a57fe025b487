"""Connections are held to their bounds: bytes of a request, time to send it, time to take an answer, and number."""

import asyncio

import pytest

from service.process.sockets import CannotListen, bound, connections_allowed
from service.web.wire.bounds import HEAD_BYTES, Bounds, ConnectionWatch
from tests.support.raw_http import GET, PATIENCE, head_of, house, until

pytestmark = pytest.mark.anyio

BRIEF = Bounds(connections=100, spare=8, body_bytes=1_000_000, seconds=0.2, keep_alive=0.2)

GENEROUS = BRIEF._replace(seconds=60.0)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on the loop that the service runs on: what happens to closed connections is its business."""
    return "asyncio", {"use_uvloop": True}


@pytest.mark.parametrize("cuts", [(), (10,), (HEAD_BYTES - 1,), (1, 9_000)], ids=["whole", "early", "late", "thrice"])
@pytest.mark.parametrize(("size", "status"), [(HEAD_BYTES, 200), (HEAD_BYTES + 1, 431)])
async def test_a_head_has_room_up_to_its_last_byte_and_not_beyond(
    size: int, status: int, cuts: tuple[int, ...]
) -> None:
    async with house(GENEROUS) as there:
        client, head = await there.connect(), head_of(size)
        for first, last in zip((0, *cuts), (*cuts, size), strict=True):
            client.send(head[first:last])
            await asyncio.sleep(0.05)
        assert (await client.answer())[0] == status
        assert there.unparsed == ({} if status == 200 else {431: 1})


async def test_a_head_is_measured_by_itself_whatever_came_before_and_comes_with_it() -> None:
    async with house(GENEROUS) as there:
        client = await there.connect()
        posted = b"POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + bytes(50_000)
        client.send(GET * 2000 + posted + head_of(HEAD_BYTES - 100) + GET)
        assert [(await client.answer())[0] for _ in range(2003)] == [200] * 2003
        assert there.bodies == [(50_000, True)]
        client.send(head_of(HEAD_BYTES + 1))
        assert (await client.answer())[0] == 431


@pytest.mark.parametrize(
    "start", [b"GET /", b"GET /quick HTTP/1.1\r\nX: ", b"\r\n"], ids=["an endless URL", "an endless header", "nothing"]
)
async def test_who_sends_megabytes_of_head_is_told_why_he_is_refused(start: bytes) -> None:
    async with house(GENEROUS) as there:
        client = await there.connect()
        client.send(start + (b"\r\n" if start == b"\r\n" else b"xx") * 1_500_000)
        assert (await client.answer())[0] == 431
        assert await client.rest() == b""
        assert there.unparsed == {431: 1}


HALVES: dict[str, tuple[bytes, int | None]] = {
    "nothing": (b"", None),
    "line ends": (b"\r\n\r\n", None),
    "half a line": (b"GET /qui", 408),
    "half the headers": (b"GET /quick HTTP/1.1\r\nHost: a\r\nX-Ha", 408),
    "half a body": (b"POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", 408),
    "half a chunk": (b"POST /reads HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", 408),
    "half a body that nobody wants": (b"POST /quick HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", 200),
    "half a second request": (GET + b"GET /qui", 200),
}


@pytest.mark.proof
@pytest.mark.parametrize(("half", "status"), HALVES.values(), ids=HALVES)
async def test_who_does_not_finish_is_cut_and_told_so_if_he_was_answered_nothing_yet(
    half: bytes, status: int | None
) -> None:
    async with house(BRIEF) as there:
        client = await there.connect()
        client.send(half)
        if status:
            assert (await client.answer())[0] == status
        told = await client.rest()
        assert told.startswith(b"HTTP/1.1 408 ") is half.startswith(GET)
        assert there.unparsed == ({408: 1} if half.startswith(b"GET ") else {})
        assert there.bodies == ([(4, False)] if half.startswith(b"POST /reads") else [])


async def test_who_rests_after_an_answer_and_sends_line_ends_now_and_then_is_cut() -> None:
    async with house(BRIEF) as there:
        client = await there.connect()
        client.send(GET)
        assert await client.answer() == (200, b"OK")
        client.send(b"\r\n")  # it stops uvicorn's own clock
        assert await client.rest() == b""


@pytest.mark.proof
async def test_each_request_has_its_own_time() -> None:
    async with house(BRIEF._replace(seconds=2.0, keep_alive=2.0)) as there:
        client = await there.connect()
        client.send(GET)
        assert await client.answer() == (200, b"OK")
        await asyncio.sleep(1.5)
        client.send(GET[:10])
        await asyncio.sleep(1.5)
        client.send(GET[10:])
        assert await client.answer() == (200, b"OK")
        assert there.unparsed == {}


@pytest.mark.proof
async def test_nobody_is_cut_for_what_we_do_not_read() -> None:
    async with house(BRIEF._replace(seconds=1.5)) as there:
        client = await there.connect()
        client.send(b"POST /reads-late HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n" + bytes(800_000))
        await asyncio.sleep(3)
        there.go_on.set()
        await asyncio.sleep(0.7)  # somebody looks meanwhile
        client.send(bytes(100_000))
        assert await client.answer() == (200, b"OK")
        assert there.bodies == [(900_000, True)]


async def test_nobody_is_cut_while_his_answer_is_being_made() -> None:
    async with house(BRIEF) as there:
        client = await there.connect()
        client.send(GET.replace(b"quick", b"waits"))
        await asyncio.sleep(1.5)
        there.go_on.set()
        assert await client.answer() == (200, b"OK")


async def test_an_answer_that_nobody_takes_is_given_up() -> None:
    async with house(BRIEF) as there:
        client = await there.connect()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a transport that reads
        client.send(GET.replace(b"quick", b"large"))
        await asyncio.wait_for(there.sent_all.wait(), PATIENCE)


async def test_a_body_that_nobody_wants_is_thrown_away_up_to_a_bound() -> None:
    async with house(GENEROUS) as there:
        client = await there.connect()
        client.send(b"POST /quick HTTP/1.1\r\nHost: a\r\nContent-Length: 999000\r\n\r\n" + bytes(999_000))
        assert await client.answer() == (200, b"OK")
        client.send(b"POST /quick HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + bytes(1_900_000))
        await client.rest()  # it would never end


async def test_a_body_that_goes_on_for_ever_is_refused_while_its_reader_still_hopes() -> None:
    async with house(GENEROUS) as there:
        client = await there.connect()
        client.send(b"POST /reads HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"1\r\nx\r\n" * 200_000)
        assert (await client.rest()).startswith((b"HTTP/1.1 413 ", b""))
        ((size, whole),) = there.bodies
        assert size < 200_000
        assert not whole


async def test_whoever_keeps_us_waiting_longest_goes_for_a_newcomer() -> None:
    async with house(GENEROUS._replace(connections=3)) as there:
        slow = [await there.connect() for _ in range(3)]
        for client in (slow[1], slow[2], slow[0]):  # who came first is the youngest
            client.send(GET)
            assert await client.answer() == (200, b"OK")
            client.send(b"GET /qui")
            await asyncio.sleep(0.3)
        newcomer = await there.connect()
        newcomer.send(GET)
        assert await newcomer.answer() == (200, b"OK")
        assert (await slow[1].answer())[0] == 503
        for client in (slow[0], slow[2]):
            client.send(b"ck HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await client.answer() == (200, b"OK")
        assert there.unparsed == {503: 1}


async def test_who_comes_when_known_clients_are_being_served_is_told_to_come_again() -> None:
    async with house(GENEROUS._replace(connections=3)) as there:
        served = [await there.connect() for _ in range(3)]
        for client in served:
            client.send(GET.replace(b"quick", b"knows"))
            assert await client.answer() == (200, b"OK")
            client.send(GET.replace(b"quick", b"waits"))
        await until(lambda: there.waiting == 3)
        newcomers = [await there.connect() for _ in range(20)]
        for client in newcomers:
            told = await client.rest()
            assert not told or b"HTTP/1.1 503 Service Unavailable\r\n" in told
            assert not told or b"\r\nretry-after: 1\r\n" in told
        there.go_on.set()
        assert [await client.answer() for client in served] == [(200, b"OK")] * 3
        assert there.unparsed == {503: 20}
        client = await there.connect()
        client.send(GET)
        assert await client.answer() == (200, b"OK")


def test_time_rests_while_the_process_does() -> None:
    watch = ConnectionWatch(GENEROUS, lambda _: None)
    watch.tick(1000.0, [])
    began = watch.now
    watch.tick(1000.5, [])
    assert watch.now - began == 0.5
    watch.tick(5000.0, [])
    assert watch.now - began == 1.5


@pytest.mark.parametrize(
    ("files", "wanted", "allowed"),
    [
        (256, None, 128),
        (1024, None, 896),
        (10**6, None, 10_000),
        (-1, None, 10_000),
        (-1, 50_000, 50_000),
        (256, 16, 16),
    ],
)
def test_connections_are_as_many_as_files_allow(
    monkeypatch: pytest.MonkeyPatch, files: int, wanted: int | None, allowed: int
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, -1))
    assert connections_allowed(wanted) == allowed


@pytest.mark.parametrize(("files", "wanted"), [(256, 129), (140, None)])
def test_more_connections_than_files_allow_are_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, files: int, wanted: int | None
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, -1))
    with pytest.raises(CannotListen, match=f"`ulimit -n` says {files}"):
        connections_allowed(wanted)


def test_a_host_that_cannot_be_a_name_is_refused_at_the_start() -> None:
    with pytest.raises(CannotListen, match="it is no name of a host"), bound("a..b", 0):
        pass
