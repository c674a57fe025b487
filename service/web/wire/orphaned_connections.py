"""Owns orphaned connections: those that wait at another worker's listener because it is dead, hung or slow.

The kernel gives each new connection to one worker's listener, whatever that worker does. The supervisor keeps all
listeners open, and every worker looks now and then whether a connection still waits at another's, and takes it in. So
no client is refused or kept waiting when a worker dies, nor before it is started again.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

_LOOK_SECONDS = 0.02  # long enough for a healthy owner to come first
_MOST = 64  # connections of one listener at a time


class OrphanedConnections:
    """Takes in the connections that wait at `listeners`, and serves them with `protocol`."""

    def __init__(self, listeners: Sequence[socket.socket], protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self._listeners = listeners
        self._protocol = protocol
        self._beginning: set[asyncio.Task[None]] = set()

    async def take_in(self) -> None:
        """Look until cancelled; then close the listeners."""
        try:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                for listening in self._listeners:
                    for connection in _waiting(listening):
                        task = asyncio.create_task(self._begin(connection))
                        self._beginning.add(task)
                        task.add_done_callback(self._beginning.discard)
        finally:
            for listening in self._listeners:
                listening.close()

    async def _begin(self, connection: socket.socket) -> None:
        with suppress(OSError):  # it hung up
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)


def _waiting(listening: socket.socket) -> Iterator[socket.socket]:
    with suppress(OSError):  # nothing waits; or no descriptor is left, and then its own worker may have one
        for _ in range(_MOST):
            connection, _address = listening.accept()
            connection.setblocking(False)  # noqa: FBT003 - its only form
            yield connection
