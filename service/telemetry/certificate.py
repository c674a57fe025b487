"""Owns the reading of the certificate that the public listener shows."""

from pathlib import Path


def certificate_expiry(path: Path) -> float:
    """Return when the first certificate of a PEM file ends, in Unix seconds. Raises ValueError or OSError."""
    from cryptography import x509  # noqa: PLC0415 - 7 MB that a service without TLS does not need

    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()
