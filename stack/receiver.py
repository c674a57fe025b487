"""Owns the stand-in for a pager: takes Alertmanager's webhooks, prints one line for each alert, shows the last ones."""

import argparse
import contextlib
import json
import signal
import sys
import threading
from collections import deque
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypedDict

_KEPT = 200  # alerts that GET /alerts shows
_MAX_BODY = 1_000_000  # bytes; Alertmanager cuts its groups far below
_MAX_TEXT = 2_000  # characters of one label or annotation
_SILENT_SECONDS = 10  # for a client that says nothing


class Alert(TypedDict):
    """One alert of one notification, as GET /alerts shows it. `receiver` is the path it came to: page or ticket."""

    receiver: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str
    ends_at: str


class Receiver(ThreadingHTTPServer):
    """POST /page and /ticket take a notification, GET /alerts shows the last 200 alerts, GET /healthz answers.

    What came is also printed, one line an alert. Memory is bounded by the number kept and by the length of each text.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        """Listen. Raises OSError when the address is taken."""
        self.alerts: deque[Alert] = deque(maxlen=_KEPT)
        super().__init__((host, port), _Handler)

    def take(self, receiver: str, notification: object) -> None:
        """Keep and print the alerts of one notification. Raises ValueError when it is not Alertmanager's."""
        for alert in _read(receiver, notification):
            self.alerts.append(alert)
            _say(_line(alert))


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    timeout = _SILENT_SECONDS

    def do_GET(self) -> None:
        if self.path == "/alerts":
            self._answer(HTTPStatus.OK, list(self.server.alerts))
        elif self.path == "/healthz":
            self._answer(HTTPStatus.OK, {"status": "ok"})
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "GET /alerts, GET /healthz, POST /page, POST /ticket"})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path not in ("/page", "/ticket"):
            self._answer(HTTPStatus.NOT_FOUND, {"error": "POST /page or /ticket"})
        elif not length.isascii() or not length.isdigit():
            self._answer(HTTPStatus.LENGTH_REQUIRED, {"error": "Content-Length is missing"})
        elif int(length[:9]) > _MAX_BODY:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": f"more than {_MAX_BODY} bytes"})
        else:
            self._take(self.rfile.read(int(length)))

    def _take(self, body: bytes) -> None:
        try:
            self.server.take(self.path.removeprefix("/"), json.loads(body))
        except (ValueError, RecursionError) as error:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": f"not a notification of Alertmanager: {error}"})
        else:
            self._answer(HTTPStatus.OK, {"status": "ok"})

    def _answer(self, status: HTTPStatus, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Leave out the line for each request: a line for each alert is what this program prints."""


def _read(receiver: str, notification: object) -> list[Alert]:
    """Return the alerts of a notification (Alertmanager's webhook format, version 4)."""
    alerts = notification.get("alerts") if isinstance(notification, dict) else None
    if not isinstance(alerts, list) or not all(isinstance(alert, dict) for alert in alerts):
        raise ValueError("there is no list of alerts in it")
    return [
        Alert(
            receiver=receiver,
            status=_text(alert.get("status")),
            labels=_texts(alert.get("labels")),
            annotations=_texts(alert.get("annotations")),
            starts_at=_text(alert.get("startsAt")),
            ends_at=_text(alert.get("endsAt")),
        )
        for alert in alerts[-_KEPT:]
    ]


def _texts(pairs: object) -> dict[str, str]:
    if not isinstance(pairs, dict):
        raise ValueError("labels and annotations are missing")  # noqa: TRY004 - what was sent is wrong, not the code
    return {_text(name): _text(text) for name, text in list(pairs.items())[:50]}


def _text(value: object) -> str:
    return str(value or "")[:_MAX_TEXT]


def _line(alert: Alert) -> str:
    labels, annotations = alert["labels"], alert["annotations"]
    said = f"{annotations.get('summary', '')}  {annotations.get('runbook_url', '')}".strip()
    shown = f"{alert['receiver'].upper()} {alert['status']} {labels.get('alertname', '(no name)')}  {said}"
    return shown.encode("unicode_escape").decode()  # one alert stays one line, whatever it says


def _say(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody reads any more: what is kept can still be asked for
        print(line, flush=True)  # noqa: T201 - what the program is for


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m stack.receiver", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9095, help="port to listen on (default: %(default)s; 0: any)")
    chosen = parser.parse_args()
    try:
        receiver = Receiver(chosen.host, chosen.port)
    except OSError as error:
        sys.exit(f"cannot listen on {chosen.host}:{chosen.port}: {error.strerror}")
    with receiver:
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: threading.Thread(target=receiver.shutdown).start())
        _say(f"listening on http://{chosen.host}:{receiver.server_port}")
        receiver.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
