"""Owns what is not our service: servers that answer wrongly, alter numbers, or show a certificate made for the test."""

import re
import ssl
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socketserver import StreamRequestHandler

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(directory: Path, days: float, *names: str) -> tuple[Path, Path]:
    """Make a self-signed certificate that ends in so many days; return its file and its key's."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=99))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_named(each) for each in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = directory / f"{days}-{names[0]}.pem", directory / f"{days}-{names[0]}.key"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, secret))
    return certificate_file, key_file


def _named(name: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)


@contextmanager
def listening(handler: type[StreamRequestHandler], tls: tuple[Path, Path] | None = None) -> Iterator[str]:
    """Serve something that is not ours on a free port; yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(status: int, body: bytes, **headers: str) -> type[StreamRequestHandler]:
    """Return a handler that gives every request the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_OPTIONS = answer  # noqa: N815 - the names that the library calls

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Handler


class Garbage(StreamRequestHandler):
    """What a wrong port may answer."""

    def handle(self) -> None:
        """Answer without a word of HTTP."""
        self.rfile.readline()
        self.wfile.write(b"\x16\x03\x01 220 mail.example ESMTP\r\n\x1b[2J")


def altered(operator: str, numbers: Mapping[str, str], *, ready: int = 200) -> type[StreamRequestHandler]:
    """Return a handler that gives the operator listener's answers, with other numbers in the metrics."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with direct.open(f"{operator}{self.path}", timeout=10) as answer:
                text, request_id = answer.read().decode(), answer.headers["X-Request-Id"]
            for series, number in numbers.items() if self.path == "/metrics" else ():
                text, changes = re.subn(f"^{re.escape(series)} .*", f"{series} {number}", text, flags=re.MULTILINE)
                assert changes == 1, series
            self.send_response(ready if self.path == "/readyz" else 200)
            self.send_header("X-Request-Id", request_id)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Handler
