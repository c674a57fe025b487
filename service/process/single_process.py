"""Owns the service as one process: its log, its app, its sockets, and what it obeys."""

import asyncio

import uvloop

from service.process.app import build_app
from service.process.reloading import CertificateFiles, Reloading
from service.process.serving import Listeners, Serving
from service.process.sockets import bound
from service.process.startup_log import announce, logging_to_stdout, tell_unknown_settings
from service.settings import Settings
from service.telemetry.metrics import Metrics


def run(settings: Settings) -> int:
    """Serve, as the only process, until it is told to end; return the exit code: 0, or EXIT_STORAGE_BROKEN.

    Raises CannotListen, StartRefused, and StorageError when the database cannot be opened.
    """
    metrics = Metrics()
    with logging_to_stdout(settings, metrics) as log:
        tell_unknown_settings(log)
        app = build_app(settings, log, metrics)
        app.assert_may_start()
        with (
            bound(settings.host, settings.port) as public,
            bound(settings.operator_host, settings.operator_port) as operator,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):

            def announced() -> None:
                announce(settings, log.logger, public, [operator])
                app.introduce()

            serving = Serving(app, settings, log.logger, Listeners(public, operator))
            reloading = Reloading(_files(settings), serving.tls, app.read_roster, metrics, log.logger)
            return runner.run(serving.run(reloading.running, announced))


def _files(settings: Settings) -> CertificateFiles | None:
    return CertificateFiles(settings.tls_cert, settings.tls_key) if settings.tls_cert and settings.tls_key else None
