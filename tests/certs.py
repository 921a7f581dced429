"""Certificates for tests: a CA of one's own, and what it signs, as PEM."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from deployer.spec.platform import Certificate

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
"""The moment that tests take to be now."""


def private_key(key: ec.EllipticCurvePrivateKey, password: bytes = b"") -> str:
    way = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, way).decode()


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


@cache
def made_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def signed(
    subject: str,
    by: str,
    names: Sequence[str] = (),
    days: float = 90,
    is_public: bool = False,
    begins: datetime = NOW - timedelta(days=1),
) -> x509.Certificate:
    """`by` is the name of the CA; a public one says where its own certificate is."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
        .public_key(made_key(subject).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    if is_public:
        place = x509.UniformResourceIdentifier("http://ca.example/issuer.der")
        access = [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)]
        builder = builder.add_extension(x509.AuthorityInformationAccess(access), False)
    return builder.sign(made_key(by), hashes.SHA256())


@cache
def pair(names: str, days: float = 90) -> Certificate:
    """A certificate for these names, with blanks between them; always the same."""
    first = names.split()[0]
    leaf = signed(first, "Test CA", names.split(), days, begins=NOW - timedelta(days=60))
    return Certificate(pem(leaf) + pem(signed("Test CA", "Test CA", days=3650)), private_key(made_key(first)))
