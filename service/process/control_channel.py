"""Owns the control channel between a supervisor and a worker: one assignment, then single bytes over a socket pair.

The pair also tells each side when the other has ended, in whatever way: then its end of the pair is closed.
"""

import json
import socket
from dataclasses import asdict, dataclass
from typing import Self

READY = b"r"  # worker: I serve
STOP = b"s"  # supervisor: all of us end; show the draining to whoever asks
REPLACED = b"p"  # supervisor: another worker serves in your place; finish what you have begun


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one worker process is started with: its number (from 1), and descriptors that it inherits.

    `restarts` says how often a worker of this number died before it; `public` are the listeners of all workers, in the
    order of their numbers.
    """

    worker: int
    restarts: int
    public: list[int]
    operator: int
    channel: int
    turns: int

    def __str__(self) -> str:
        """Return the JSON that `read` takes."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the assignment that a command line carries. Raises ValueError."""
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(f"no assignment: {error}") from error

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the process must inherit."""
        return (*self.public, self.operator, self.channel, self.turns)

    def listeners(self) -> tuple[socket.socket, list[socket.socket]]:
        """Take over the worker's own public listener, and those of the others."""
        sockets = [socket.socket(fileno=fd) for fd in self.public]
        for listening in sockets:
            listening.settimeout(0)
        return sockets.pop(self.worker - 1), sockets
