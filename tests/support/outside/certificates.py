"""Owns certificates made for a test: an authority, and what it signs for this machine's names."""

import ssl
from pathlib import Path

from tests.support.outside.tools import call, need

EC = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("rsa:2048",)


class Authority:
    """An authority of a test's own, in a folder."""

    def __init__(self, directory: Path) -> None:
        need("openssl")
        self.directory = directory
        self.certificate, self.key = directory / "ca.pem", directory / "ca.key"
        made = ("-keyout", str(self.key), "-out", str(self.certificate))
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")  # Python 3.13 asks for it
        call("openssl", "req", "-x509", "-newkey", *EC, "-nodes", *made, "-subj", "/CN=test", *usage)

    def certify(self, *, kind: tuple[str, ...] = EC, days: int = 30) -> tuple[Path, Path]:
        """Sign a new key for localhost, in the same two files each time; return the certificate and its key."""
        wish, certificate, key = (self.directory / name for name in ("server.csr", "server.pem", "server.key"))
        names = self.directory / "names"
        extensions = ("subjectAltName=DNS:localhost,IP:127.0.0.1", "authorityKeyIdentifier=keyid")
        names.write_text("\n".join(extensions), encoding="ascii")
        new_key = ("-newkey", *kind, "-nodes", "-keyout", str(key))
        call("openssl", "req", *new_key, "-out", str(wish), "-subj", "/CN=localhost")
        signed_by = ("-CA", str(self.certificate), "-CAkey", str(self.key), "-CAcreateserial", "-days", str(days))
        call("openssl", "x509", "-req", "-in", str(wish), *signed_by, "-extfile", str(names), "-out", str(certificate))
        return certificate, key

    def trusting(self) -> ssl.SSLContext:
        """Return a client's side that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.certificate))
