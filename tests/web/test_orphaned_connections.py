"""Connections that wait at another worker's listener: taken in soon, as they would have been by their own worker."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from service.process.sockets import CannotListen, bound_together
from service.web.wire.orphaned_connections import OrphanedConnections

pytestmark = pytest.mark.anyio


class Greeting(asyncio.Protocol):
    """Answers with whether TCP_NODELAY is set, and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer."""
        assert isinstance(transport, asyncio.Transport)
        no_delay = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport.write(f"no delay {bool(no_delay)}".encode())
        transport.close()


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    """Return three listeners on one port, at which nobody accepts."""
    with bound_together("127.0.0.1", 0, 3) as sockets:
        for listening in sockets:
            listening.settimeout(0)
        yield sockets


async def test_whoever_waits_at_any_of_them_is_answered(listeners: list[socket.socket]) -> None:
    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection(*listeners[0].getsockname())
        answer = await reader.read()
        writer.close()
        return answer

    taking = asyncio.create_task(OrphanedConnections(listeners, Greeting).take_in())
    answers = await asyncio.wait_for(asyncio.gather(*(ask() for _ in range(300))), 20)
    taking.cancel()
    assert set(answers) == {b"no delay True"}


async def test_whoever_stops_taking_in_lets_go_of_the_listeners(listeners: list[socket.socket]) -> None:
    taking = asyncio.create_task(OrphanedConnections(listeners, Greeting).take_in())
    await asyncio.sleep(0.05)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert [listening.fileno() for listening in listeners] == [-1, -1, -1]


def test_sockets_that_are_bound_together_are_of_one_port_and_nobody_else_gets_it(
    listeners: list[socket.socket],
) -> None:
    addresses = {listening.getsockname() for listening in listeners}
    assert len(addresses) == 1
    ((host, port),) = addresses
    with pytest.raises(CannotListen), bound_together(host, port, 2):
        pass  # it shares a port with another service of the same user, and should not
