"""Owns the service as one of several worker processes: what it is given, and how it obeys its supervisor."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial

import uvloop

from service.core.version import VERSION
from service.process import control_channel
from service.process.app import build_app
from service.process.control_channel import Assignment
from service.process.serving import ORPHANED, REPLACED, SIGNAL, End, Listeners, Serving
from service.process.sockets import url_of
from service.process.startup_log import logging_to_stdout
from service.settings import Settings
from service.telemetry.log.line_sink import SharedOutput
from service.telemetry.metrics import Metrics

_ENDINGS = {control_channel.STOP: SIGNAL, control_channel.REPLACED: REPLACED}


def run(settings: Settings, assignment: Assignment) -> int:
    """Serve until the supervisor says so or is gone; return the exit code. Raises as a single process does."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal sends it to all; the supervisor knows what it means
    metrics = Metrics()
    metrics.worker_restarts = assignment.restarts
    output = SharedOutput(assignment.turns)
    with logging_to_stdout(settings, metrics, output, worker=assignment.worker) as log, ExitStack() as held:
        fds = (assignment.channel, assignment.operator)
        channel, operator = (held.enter_context(socket.socket(fileno=fd)) for fd in fds)
        public, others = assignment.listeners()
        for listening in (public, *others):
            held.callback(listening.close)
        app = build_app(settings, log, metrics, worker=assignment.worker)
        app.assert_may_start()

        def ready() -> None:
            log.logger.info("worker_ready", operator=url_of("http", operator), pid=os.getpid(), version=VERSION)
            app.introduce()
            channel.send(control_channel.READY)

        runner = held.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        serving = Serving(app, settings, log.logger, Listeners(public, operator, others))
        return runner.run(serving.run(partial(_obeying, channel), ready))


@asynccontextmanager
async def _obeying(channel: socket.socket, end: End) -> AsyncIterator[None]:
    """End when the supervisor says so, or when it is gone and its end of the channel is closed."""
    loop = asyncio.get_running_loop()

    def heard() -> None:
        with suppress(BlockingIOError):
            order = _received(channel)
            loop.remove_reader(channel)
            end(_ENDINGS.get(order, ORPHANED))

    loop.add_reader(channel, heard)
    try:
        yield
    finally:
        loop.remove_reader(channel)


def _received(channel: socket.socket) -> bytes:
    try:
        return channel.recv(1)
    except ConnectionError:
        return b""
