"""Owns the end of the way: who was told what, and when, by Alertmanager's webhooks."""

import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

from stack.receiver import Alert, Receiver
from tests.support.outside.harness import wait_for


@dataclass(frozen=True, slots=True)
class Told:
    """One alert of one notification: what it says, whether its group is over, when it came (monotonic seconds)."""

    alert: Alert
    group: str
    at: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        """Return which alert it is."""
        return self.alert["labels"]["alertname"]


class Pager(Receiver):
    """The stack's stand-in for a pager, in this process and with the time of each message; on a free port."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        super().__init__("127.0.0.1", 0)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no longer."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def take(self, receiver: str, notification: object) -> None:
        """Note the time of what came."""
        seen = len(self.alerts)
        super().take(receiver, notification)
        new = list(self.alerts)[seen:]
        self.alerts.clear()
        group = str(notification["status"]) if isinstance(notification, dict) else ""
        self.told += [Told(alert, group) for alert in new]

    def wait(self, name: str, receiver: str, status: str, since: float, seconds: float) -> Told:
        """Return the first message of an alert that came after a moment. Raises TimeoutError."""

        def came() -> Told | None:
            to = self._to(receiver, since)
            return next((told for told in to if (told.name, told.alert["status"]) == (name, status)), None)

        return wait_for(came, seconds)

    def firing(self, receiver: str, since: float) -> set[str]:
        """Return the alerts that a receiver was told of after a moment."""
        return {told.name for told in self._to(receiver, since) if told.alert["status"] == "firing"}

    def incidents(self, receiver: str, since: float) -> int:
        """Return how often somebody was called after a moment: what joins a group that is still open calls nobody."""
        groups = ["resolved", *(told.group for told in self._to(receiver, since))]
        return sum(before == "resolved" and now == "firing" for before, now in pairwise(groups))

    def _to(self, receiver: str, since: float) -> list[Told]:
        return [told for told in self.told if told.at >= since and told.alert["receiver"] == receiver]
