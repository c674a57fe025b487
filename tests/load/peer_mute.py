"""Owns the service with metrics and log switched off: the peer that shows what being observed costs.

The same build and the same way of starting. What a postback is counted by and logged with does nothing; what the
service needs for itself (ids, the queue's bounds, the probes) stays.
"""

import sys
from unittest.mock import patch

from service.process import single_process, startup_log
from service.settings import load_settings
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics


class NoMetrics(Metrics):
    """Counts nothing that happens for each request or commit, and for a postback only what its books settle."""

    def count_response(self, *_: object) -> None:
        """Forget it."""

    count_commit = count_rows = count_log_lines = count_response  # type: ignore[assignment]


class NoLog(Log):
    """Writes no canonical line."""

    def write(self, *_: object) -> None:
        """Forget it."""

    write_alike = write  # type: ignore[assignment]


if __name__ == "__main__":
    with patch.object(single_process, "Metrics", NoMetrics), patch.object(startup_log, "Log", NoLog):
        sys.exit(single_process.run(load_settings()))
