"""Certificates that a test makes for itself: an authority, and what it signs for this machine."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.permissions import CA_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY

_DAY = dt.timedelta(days=1)


class Authority:
    """A CA of a test's own, whose certificate lies in ``ca``."""

    def __init__(self, folder: Path, name: str = "ours") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.name = f"CA of {name}"
        self._name = _named(self.name)
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        unsigned = _builder(self._name, self._name, self._key)
        unsigned = unsigned.add_extension(constraints, critical=True)
        self.ca = folder / CA_CERTIFICATE
        self.ca.write_bytes(_pem(unsigned.sign(self._key, hashes.SHA256())))

    def sign(self, folder: Path, name: str = "127.0.0.1") -> Path:
        """A certificate for a host or a client, its key and the CA's, in a folder; returns it.

        A server of a cluster is a client of the others, too.
        """
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            who: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            who = x509.DNSName(name)
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        unsigned = _builder(_named(name), self._name, key)
        unsigned = unsigned.add_extension(x509.SubjectAlternativeName([who]), critical=False)
        unsigned = unsigned.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        (folder / SERVER_CERTIFICATE).write_bytes(_pem(unsigned.sign(self._key, hashes.SHA256())))
        (folder / SERVER_KEY).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        (folder / CA_CERTIFICATE).write_bytes(self.ca.read_bytes())
        return folder


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
