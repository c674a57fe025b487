"""Owns the reading of the certificate that the public listener shows."""

from pathlib import Path

from cryptography import x509


def certificate_expiry(path: Path) -> float:
    """Return when the first certificate of a PEM file ends, in Unix seconds. Raises ValueError or OSError."""
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()
