"""Load the user's TLS certificate, or make a self-signed one.

- A self-signed certificate is kept and reused, so that clients can trust it permanently.
- It is no certificate authority, so a stolen key affects only this server.
"""

import hashlib
import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from vivavoce.errors import MissingDependency, SettingsError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_LIFETIME = timedelta(days=825)  # the longest that Apple's systems accept
_RENEWAL = timedelta(days=30)  # before its end


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a certificate and its key, both PEM."""

    certificate: Path
    key: Path

    def fingerprint(self) -> str:
        """Return the SHA-256 of the first certificate, in hexadecimal, for clients that pin it."""
        pem = self.certificate.read_text("ascii")
        first, footer, _ = pem.partition("-----END CERTIFICATE-----")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first + footer)).hexdigest()


def load_certificate(certificate: Path, key: Path) -> Certificate:
    """Return the two files, checked. Raises `SettingsError` if they do not belong together."""
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise SettingsError(
            f"the certificate {str(certificate)!r} with the key {str(key)!r} cannot be used "
            f"({error}): name two PEM files that belong together in tls_certificate and tls_key"
        ) from error
    return Certificate(certificate, key)


def self_signed(folder: Path, names: tuple[str, ...]) -> Certificate:
    """Return the self-signed certificate in `folder` for `names`, which are hosts and addresses.

    Makes a new one if it lacks a name or ends soon.

    Raises `MissingDependency` without the `cryptography` package, `SettingsError` if the folder
    cannot be written.
    """
    files = Certificate(folder / "certificate.pem", folder / "key.pem")
    try:
        if not _is_valid(files, names):
            _write(files, names)
    except ImportError as error:
        raise MissingDependency(
            "a self-signed certificate needs the package cryptography: pip install 'vivavoce[lan]'"
        ) from error
    except OSError as error:
        raise SettingsError(
            f"cannot keep a certificate in {str(folder)!r} ({error.strerror}): choose a folder "
            "with cache_dir"
        ) from error
    return files


def _is_valid(files: Certificate, names: tuple[str, ...]) -> bool:
    """True if the files are a valid pair for `names` that does not end soon."""
    from cryptography import x509

    try:
        load_certificate(files.certificate, files.key)
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    except (SettingsError, ValueError):
        return False
    known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    named = {str(name.value).lower() for name in known}
    return set(names) <= named and certificate.not_valid_after_utc - datetime.now(UTC) > _RENEWAL


def _write(files: Certificate, names: tuple[str, ...]) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    files.key.parent.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files.key.unlink(missing_ok=True)
    files.key.touch(0o600, exist_ok=False)  # before the key is in it, so that others cannot read it
    files.key.write_bytes(pem)
    files.certificate.write_bytes(_signed(key, names).public_bytes(serialization.Encoding.PEM))


def _signed(key: "EllipticCurvePrivateKey", names: tuple[str, ...]) -> "x509.Certificate":
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    from vivavoce.provenance.certificate import certificate_of  # imports numpy, and help does not

    hosts = x509.SubjectAlternativeName([_general_name(each) for each in names])
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return certificate_of(key, _LIFETIME, hosts, server)


def _general_name(name: str) -> "x509.DNSName | x509.IPAddress":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
