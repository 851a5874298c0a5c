"""Make and read the certificate that signs manifests.

- The one that the server makes for itself says which server made a file, and is on no list of
  trusted ones.
- Certificate and key are in one file, so that they always belong together.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vivavoce.errors import SettingsError
from vivavoce.files import locked, replace_file

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

FILE_NAME: Final = "c2pa.pem"
LOCK_NAME: Final = "c2pa.lock"
_LIFETIME: Final = timedelta(days=3650)
_RENEWAL: Final = timedelta(days=30)  # before its end
# COSE's names for what C2PA 2.1, chapter 13.2, allows, by the bits of a curve.
_CURVES: Final = {256: "es256", 384: "es384", 521: "es512"}


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate with its intermediate ones, and its key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    algorithm: str


def read_credential(certificate: Path, key: Path) -> Credential:
    """Return the two files. Raises `SettingsError` if they cannot be used."""
    try:
        pem, key_pem = certificate.read_bytes(), key.read_bytes()
        return Credential(pem, key_pem, _algorithm(pem, key_pem))
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(
            f"the certificate {str(certificate)!r} with the key {str(key)!r} cannot sign "
            f"({error}): name two PEM files that belong together in c2pa_certificate and c2pa_key"
        ) from error


def own_credential(folder: Path) -> Credential:
    """Return the one in `folder`, a new one if there is none or it ends soon.

    Raises `SettingsError` and `DiskFull` if it cannot be kept.
    """
    path = folder / FILE_NAME
    if (kept := _kept(path)) is not None:
        return kept
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(folder / LOCK_NAME):
            if (kept := _kept(path)) is not None:  # another process was first
                return kept
            pem = _made()
            path.with_name(f"{FILE_NAME}.new").unlink(missing_ok=True)  # of a process that ended
            replace_file(path, lambda: pem, of="certificate and key for C2PA")
    except OSError as error:
        raise SettingsError(
            f"cannot keep a certificate in {str(folder)!r} ({error.strerror}): choose another "
            "data_dir"
        ) from error
    return Credential(*_parts(pem), _algorithm(pem, pem))


def _kept(path: Path) -> Credential | None:
    """Return the credential in a file, or `None` if there is none that lasts a while."""
    try:
        pem = path.read_bytes()
        if _ends(pem) - datetime.now(UTC) > _RENEWAL:
            return Credential(*_parts(pem), _algorithm(pem, pem))
    except (OSError, ValueError, TypeError):  # a new one replaces it
        pass
    return None


def _parts(pem: bytes) -> tuple[bytes, bytes]:
    """Return the certificate and the key of one file."""
    footer = b"-----END CERTIFICATE-----\n"
    certificate, _, key = pem.partition(footer)
    return certificate + footer, key


def _ends(pem: bytes) -> datetime:
    from cryptography import x509

    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def _algorithm(certificate: bytes, key: bytes) -> str:
    """Return the name of the key's algorithm. Raises `ValueError` if it is another's key."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    private = load_pem_private_key(key[key.find(b"-----BEGIN PRIVATE KEY") :], password=None)
    if private.public_key() != x509.load_pem_x509_certificate(certificate).public_key():
        raise ValueError("the key belongs to another certificate")
    match private:
        case ec.EllipticCurvePrivateKey() if private.curve.key_size in _CURVES:
            return _CURVES[private.curve.key_size]
        case rsa.RSAPrivateKey():
            return "ps256"
        case ed25519.Ed25519PrivateKey():
            return "ed25519"
    raise ValueError("C2PA takes keys of P-256, P-384, P-521, RSA and Ed25519")


def _made() -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _signed(key).public_bytes(serialization.Encoding.PEM) + pem


def _signed(key: "EllipticCurvePrivateKey") -> "x509.Certificate":
    """Return a self-signed certificate as C2PA 2.1, chapter 14.5, wants them."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    return certificate_of(key, _LIFETIME, mail, organization="vivavoce")


def certificate_of(
    key: "EllipticCurvePrivateKey",
    lifetime: timedelta,
    *extensions: "x509.ExtensionType",
    organization: str = "",
) -> "x509.Certificate":
    """Return a certificate of `key` for digital signatures alone, which is no authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    of = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vivavoce"), *of])
    now = datetime.now(UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    unused = (
        "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    usage = x509.KeyUsage(digital_signature=True, **dict.fromkeys(unused, False))
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # a reader's or a headset's clock may be behind
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    for extension in (*extensions, identifier, issuer):
        made = made.add_extension(extension, critical=False)
    return made.sign(key, hashes.SHA256())
