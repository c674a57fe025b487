"""Owns listening sockets: how they are bound, how many connections they may lead to, and the URL that leads to one."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_BACKLOG = 2048
_FILES_KEPT = 128  # for the database, the operator listener, and connections that are only told that there are too many
_MOST_CONNECTIONS = 10_000  # 150 MB, if nobody says otherwise
_FEWEST_CONNECTIONS = 16


class CannotListen(Exception):  # noqa: N818 - what happened, as the message says it
    """An address cannot be bound: taken, not ours, or unknown; or so many connections cannot be held."""


def connections_allowed(wanted: int | None) -> int:
    """Return how many connections may be open at once: as many as are wanted, or as the limit on open files lets us.

    Raises CannotListen when that limit is too low: at the last file nothing can be accepted, stored or read any more.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = _MOST_CONNECTIONS if files == resource.RLIM_INFINITY else files - _FILES_KEPT
    if (wanted or _FEWEST_CONNECTIONS) > room and files != resource.RLIM_INFINITY:
        asked = wanted or _FEWEST_CONNECTIONS
        raise CannotListen(
            f"{asked} connections and {_FILES_KEPT} other files cannot be open: `ulimit -n` says {files}"
        )
    return wanted or min(room, _MOST_CONNECTIONS)


@contextmanager
def bound(host: str, port: int, *, together: bool = False) -> Iterator[socket.socket]:
    """Bind a listening socket; `together`: beside others of ours on the same address (SO_REUSEPORT).

    The protocol is named, because asyncio sets TCP_NODELAY only on sockets that say IPPROTO_TCP; without it each
    response waits 40 ms for an acknowledgement.
    """
    with ExitStack() as stack:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
            )[0]
            listening = stack.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if together:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listening.bind(address)
        except OSError as error:
            raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror}") from error
        except UnicodeError as error:
            raise CannotListen(f"cannot listen on {host}:{port}: it is no name of a host") from error
        except OverflowError as error:  # the first operator port is a setting, the others follow it
            raise CannotListen(f"cannot listen on {host}:{port}: ports end at 65535") from error
        listening.listen(_BACKLOG)
        yield listening


@contextmanager
def bound_together(host: str, port: int, count: int) -> Iterator[list[socket.socket]]:
    """Bind several sockets to one address: the kernel spreads new connections evenly over them.

    One that is bound alone first makes sure that nobody else is there: of the same user, SO_REUSEPORT would let two
    services share a port without a word.
    """
    with bound(host, port) as alone:
        port = alone.getsockname()[1]
    with ExitStack() as stack:
        yield [stack.enter_context(bound(host, port, together=True)) for _ in range(count)]


def url_of(scheme: str, listening: socket.socket) -> str:
    """Return where a socket listens."""
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
