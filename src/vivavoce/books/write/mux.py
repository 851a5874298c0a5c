"""Write one audio file: the packets of a codec, tags, chapters and cover in a container."""

import io
import logging
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final, Literal

import av
import av.container
from av.stream import Disposition

from vivavoce.books.write.encode import CODECS, packet_count, packets
from vivavoce.books.write.options import WriteOptions
from vivavoce.books.write.sound import CodecName, Sound
from vivavoce.books.write.tags import Tags, size_of
from vivavoce.books.write.tags.id3 import id3_tag
from vivavoce.books.write.tags.mp4 import index_bytes, separate_chapters
from vivavoce.books.write.tags.vorbis import vorbis_chapters, vorbis_picture
from vivavoce.errors import SigningFailed
from vivavoce.types import AudioFormat

log = logging.getLogger(__name__)

Container = Literal["mp4", "mp3", "ogg", "flac"]

FORMS: Final[Mapping[str, tuple[Container, CodecName]]] = {
    "m4b": ("mp4", "aac"),
    "m4b-opus": ("mp4", "opus"),
    "m4a": ("mp4", "aac"),
    "mp3": ("mp3", "mp3"),
    "opus": ("ogg", "opus"),
    "flac": ("flac", "flac"),
}
_SIGNED: Final[Mapping[Container, AudioFormat]] = {"mp4": "m4a", "mp3": "mp3", "flac": "flac"}
_SIGNED_BYTES: Final = 32 * 2**20  # c2pa holds a file in memory, twice
NERO_CHAPTERS: Final = 255  # as many as Nero's list of chapters holds, and bytes in its titles
_COVERS: Final = {"image/jpeg": "mjpeg", "image/png": "png"}
_MILLISECOND: Final = Fraction(1, 1000)


def write_audio(
    path: Path, form: tuple[Container, CodecName], sound: Sound, tags: Tags, options: WriteOptions
) -> None:
    """Write `sound` to `path`, marked, and signed if there is a signer.

    Raises `OSError` if the disk is full, and the errors of `Sound.read`.
    """
    container, codec = form
    how = _options(container, tags, packet_count(sound, CODECS[codec]))
    if container == "mp3":
        with path.open("w+b") as file:
            file.write(id3_tag(tags))
            with av.open(_Rest(file), "w", format=container, container_options=how) as output:
                _write(output, codec, sound, tags, options)
    else:
        name = str(path.absolute())
        with av.open(name, "w", format=container, container_options=how) as output:
            _write(output, codec, sound, tags, options)
    if container == "mp4" and tags.chapters:
        separate_chapters(path)
    _sign(path, container, tags, options)


def _sign(path: Path, container: Container, tags: Tags, options: WriteOptions) -> None:
    signer, mark, format = options.signer, tags.mark, _SIGNED.get(container)
    if signer is None or mark is None or format is None or not signer.signs(format):
        return
    if path.stat().st_size > _SIGNED_BYTES and not signer.is_must:
        log.info("%s is too large to sign, and leaves with its comment alone", path.name)
        return
    signed = path.with_name(f"{path.name}.signed")
    try:
        with path.open("rb") as source, signed.open("w+b") as target:
            signer.sign(source, target, format, mark)
        signed.replace(path)
    except SigningFailed as error:
        if signer.is_must:
            raise
        log.warning("a file leaves with its comment alone: %s", error.message)
    finally:
        signed.unlink(missing_ok=True)


def _options(container: Container, tags: Tags, count: int) -> dict[str, str]:
    same = {"fflags": "+bitexact"}  # neither FFmpeg's version nor the time nor random numbers
    match container:
        case "mp4":
            brand = "M4B " if tags.chapters else "M4A "
            flags = "disable_chpl" if len(tags.chapters) > NERO_CHAPTERS else "0"
            place = str(index_bytes(count, tags))  # before the sound, where players look first
            return same | {"brand": brand, "movflags": flags, "moov_size": place}
        case "mp3":
            return same | {"id3v2_version": "0"}
        case "ogg" | "flac":
            return same


def _write(
    output: av.container.OutputContainer,
    codec: CodecName,
    sound: Sound,
    tags: Tags,
    options: WriteOptions,
) -> None:
    how = CODECS[codec]
    stream = output.add_stream(
        how.encoder,
        sound.rate_hz,
        options=dict(how.options),
        format=how.sample_format,
        layout="mono",
        bit_rate=how.bits(sound.rate_hz),
    )
    cover = _add_tags(output, tags)
    output.start_encoding()
    if cover is not None and tags.cover is not None:
        picture = av.Packet(tags.cover.data)
        picture.stream, picture.pts, picture.dts, picture.is_keyframe = cover, 0, 0, True
        output.mux(picture)
    whole = sound.samples
    for packet in packets(sound, how, options.executor):
        packet.stream = stream
        output.mux(packet)
        if options.progress is not None and packet.pts is not None:
            options.progress(min(max(packet.pts / whole, 0.0), 1.0))


def _add_tags(output: av.container.OutputContainer, tags: Tags) -> "av.stream.Stream | None":
    """Add what the container's muxer writes. Return the stream of the cover, if it has one."""
    kind = output.format.name
    if kind == "mp3":
        return None
    output.metadata.update(tags.named)
    if kind == "mp4":
        output.metadata["media_type"] = "2"  # an audiobook, as iTunes numbers them
        output.set_chapters(
            [
                {
                    "id": number,
                    "start": chapter.start_ms,
                    "end": chapter.end_ms,
                    "time_base": _MILLISECOND,
                    "metadata": {"title": shortened(chapter.title)},
                }
                for number, chapter in enumerate(tags.chapters)
            ]
        )
    else:
        output.metadata.update(vorbis_chapters(tags.chapters))
    if tags.cover is None or (size := size_of(tags.cover)) is None:
        return None
    if kind == "ogg":
        output.metadata["METADATA_BLOCK_PICTURE"] = vorbis_picture(tags.cover)
        return None
    codec = _COVERS[tags.cover.media_type]
    cover = output.add_mux_stream(codec, time_base=_MILLISECOND, width=size[0], height=size[1])
    cover.disposition = Disposition.attached_pic
    return cover


def shortened(title: str) -> str:
    """Return as much of `title` as Nero's list holds, whole characters."""
    return title.encode("utf-8")[:NERO_CHAPTERS].decode("utf-8", "ignore")


class _Rest:
    """The rest of a file, from where it stands."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._start = file, file.tell()
        self._is_full = False

    def write(self, data: bytes) -> int:
        if self._is_full:  # FFmpeg, which was told, still writes an end
            return len(data)
        try:
            return self._file.write(data)
        except OSError:
            self._is_full = True
            raise

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if self._is_full:
            return 0
        from_start = whence == io.SEEK_SET
        return self._file.seek(offset + self._start * from_start, whence) - self._start
