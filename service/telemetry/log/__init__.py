"""The log: one JSON object a line, written by a thread of its own, with a rate limit for equal warnings."""

from service.telemetry.log.logger import Log

__all__ = ["Log"]
