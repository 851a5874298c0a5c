"""Sign files with a C2PA manifest, and read the manifest of a file. Needs no network."""

import io
import json
import logging
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Literal

from vivavoce.errors import DiskFull, MissingDependency, SettingsError, SigningFailed
from vivavoce.provenance.certificate import FILE_NAME, Credential, own_credential, read_credential
from vivavoce.provenance.mark import Mark, Provenance
from vivavoce.types import AudioFormat

log = logging.getLogger(__name__)

TYPES: Final[dict[AudioFormat, str]] = {
    "wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "m4a": "audio/mp4",
}  # fmt: skip
_SHORT_WAV: Final = struct.pack(  # 20 silent samples
    "<4sI4s4sIHHIIHH4sI40s",
    b"RIFF", 76, b"WAVE", b"fmt ", 16, 1, 1, 24_000, 48_000, 2, 16, b"data", 40, b"",
)  # fmt: skip
SOURCE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs whole files of the formats in `TYPES`."""

    credential: Credential
    version: str
    is_must: bool = False  # a file that cannot be signed is an error

    def signs(self, format: AudioFormat) -> bool:
        """True if a file of `format` can hold a manifest."""
        return format in TYPES

    def sign(self, source: BinaryIO, target: BinaryIO, format: AudioFormat, mark: Mark) -> None:
        """Copy the file `source` to `target`, with a manifest. Takes milliseconds for a minute.

        Both are read and written from their beginning, and are seekable. Raises `SigningFailed`.
        """
        import c2pa

        info = c2pa.C2paSignerInfo(
            alg=self.credential.algorithm.encode("ascii"),
            sign_cert=self.credential.certificate,
            private_key=self.credential.key,
            ta_url=None,  # a time stamp of somebody else would need the network
        )
        try:
            with (
                c2pa.Signer.from_info(info) as signer,
                c2pa.Builder(self._manifest(mark)) as builder,
            ):
                builder.sign(signer, TYPES[format], source, target)
        except c2pa.C2paError as error:
            raise SigningFailed(
                f"the {format} file got no C2PA manifest ({error}): look for room on the disk, and "
                "for the certificate in data_dir; provenance = 'tags' does without manifests"
            ) from error

    def _manifest(self, mark: Mark) -> dict[str, object]:
        agent = {"name": "vivavoce", "version": self.version}
        action = {
            "action": "c2pa.created",
            "digitalSourceType": SOURCE,
            "softwareAgent": agent,
            "description": "synthetic speech",
            "when": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "parameters": {"model": mark.model, "voice": mark.voice},
        }
        actions = {"label": "c2pa.actions", "data": {"actions": [action]}}
        return {"claim_generator_info": [agent], "assertions": [actions]}


def load_provenance(
    mode: Literal["auto", "off", "tags", "c2pa"],
    folder: Path,
    certificate: Path | None,
    key: Path | None,
    version: str,
) -> Provenance:
    """Return how speech is marked. `folder` keeps the certificate unless two files are named.

    With `auto`, files have their comments alone where manifests cannot be made. A certificate that
    is named has to be used. Raises `MissingDependency` without the extra `provenance`,
    `SettingsError` and `DiskFull` if there is no certificate to sign with.
    """
    if mode in ("off", "tags"):
        return Provenance(marks=mode == "tags")
    named = None if certificate is None or key is None else (certificate, key)
    is_must = mode == "c2pa" or named is not None
    try:
        _load_library()
        credential = own_credential(folder) if named is None else read_credential(*named)
        signer = Signer(credential, version, is_must)
        _check(signer, certificate or folder / FILE_NAME)
    except (MissingDependency, SettingsError, DiskFull) as error:
        if is_must:
            raise
        level = logging.INFO if isinstance(error, MissingDependency) else logging.WARNING
        log.log(level, "files have comments and no C2PA manifests: %s", error.message)
        return Provenance()
    return Provenance(signer=signer)


def _check(signer: Signer, certificate: Path) -> None:
    """Sign a short file: a certificate may have ended, or be made for something else.

    Raises `SettingsError`.
    """
    try:
        signer.sign(io.BytesIO(_SHORT_WAV), io.BytesIO(), "wav", Mark("", ""))
    except SigningFailed as error:
        raise SettingsError(
            f"the certificate {str(certificate)!r} signs no files ({error.__cause__}): name one "
            "that is valid today and made for signing"
        ) from error


def _load_library() -> None:
    """Import c2pa now, and not at the first request. Raises `MissingDependency`."""
    try:
        import c2pa  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:  # its part in Rust does not fit here
        raise MissingDependency(
            f"c2pa-python, which signs files, cannot be used ({error}): "
            "pip install 'vivavoce[provenance]', or set provenance = 'tags'"
        ) from error


@dataclass(frozen=True, slots=True)
class Manifest:
    """The claim of a file about its making."""

    generator: str
    actions: tuple[str, ...]  # name, source type and description
    issuer: str
    state: str  # of the signature and the bytes: Valid, Trusted or Invalid


def read_manifest(data: bytes) -> Manifest | None:
    """Return the active manifest of a file, `None` if it has none or cannot have one.

    Raises `MissingDependency` without the extra `provenance`.
    """
    try:
        import c2pa
    except ImportError as error:
        raise MissingDependency(
            "manifests are read with c2pa-python: pip install 'vivavoce[provenance]'"
        ) from error
    if (media_type := _type_of(data)) is None:
        return None
    try:
        with c2pa.Reader(media_type, io.BytesIO(data)) as reader:
            report = json.loads(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        return Manifest("", (), "", f"Invalid ({error})")
    claim = report["manifests"][report["active_manifest"]]
    actions = (
        action
        for assertion in claim.get("assertions", [])
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    )
    generator = (claim.get("claim_generator_info") or [{}])[0]
    return Manifest(
        generator=" ".join(filter(None, (generator.get("name"), generator.get("version")))),
        actions=tuple(map(_shown, actions)),
        issuer=claim.get("signature_info", {}).get("issuer") or "unknown",
        state=report.get("validation_state", "Invalid"),
    )


def _type_of(data: bytes) -> str | None:
    """Return the type of a file that may hold a manifest, by its first bytes."""
    if data[:3] == b"ID3" and len(data) > 10:  # before the frames of mp3, and before flac
        size = sum((byte & 0x7F) << 7 * (3 - at) for at, byte in enumerate(data[6:10]))
        return TYPES["flac"] if data[10 + size : 14 + size] == b"fLaC" else TYPES["mp3"]
    kinds = {b"RIFF": TYPES["wav"], b"fLaC": TYPES["flac"]}
    if data[4:8] == b"ftyp":
        return TYPES["m4a"]
    return kinds.get(data[:4]) or (TYPES["mp3"] if data[:1] == b"\xff" else None)


def _shown(action: dict[str, object]) -> str:
    source = str(action.get("digitalSourceType") or "").rpartition("/")[2]
    parameters = action.get("parameters")
    named = [f"{k}={v}" for k, v in parameters.items()] if isinstance(parameters, dict) else []
    facts = (action.get("action"), source, action.get("description"), action.get("when"), *named)
    return "; ".join(str(fact) for fact in facts if fact)
