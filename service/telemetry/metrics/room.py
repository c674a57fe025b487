"""Owns how the room for clients is shown: the places of connections, and the bytes of batches."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client.metrics_core import Metric

from service.telemetry.metrics import catalogue as declared


class Places(NamedTuple):
    """How to read the places of connections: how many known clients and strangers have, and how many there are."""

    known: Callable[[], int]
    strangers: Callable[[], int]
    capacity: int


class Room(NamedTuple):
    """How to read a room for the bodies of batches: how many bytes are taken, and how many there are."""

    taken: Callable[[], int]
    capacity: int


class RoomGauges:
    """The room that one process has for its clients: all 0 until it is watched."""

    def __init__(self) -> None:
        self.places = Places(int, int, 0)
        self.batches: Mapping[str, Room] = dict.fromkeys(declared.BATCH_ROOMS, Room(int, 0))

    def collect(self) -> Iterator[Metric]:
        """Turn it into metric families."""
        known, strangers, capacity = self.places
        connections = declared.CONNECTIONS.family()
        connections.add_metric(["known"], known())
        connections.add_metric(["stranger"], strangers())
        taken, sizes = declared.BATCH_ROOM_BYTES.family(), declared.BATCH_ROOM_CAPACITY_BYTES.family()
        for name, room in self.batches.items():
            taken.add_metric([name], room.taken())
            sizes.add_metric([name], room.capacity)
        yield from (connections, declared.CONNECTIONS_CAPACITY.of(capacity), taken, sizes)
