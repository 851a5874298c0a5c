"""Write one audio file: the packets of a codec, tags, chapters and cover in a container."""

import io
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final, Literal

import av
import av.container
from av.stream import Disposition

from vivavoce.books.write.encode import CODECS, CodecName, packets
from vivavoce.books.write.id3 import id3_tag
from vivavoce.books.write.options import WriteOptions
from vivavoce.books.write.sound import Sound
from vivavoce.books.write.tags import Tags, vorbis_chapters, vorbis_picture

Container = Literal["mp4", "mp3", "ogg", "flac"]

NERO_CHAPTERS: Final = 255  # as many as Nero's list of chapters holds, and bytes in its titles
_COVERS: Final = {"image/jpeg": "mjpeg", "image/png": "png"}
_MILLISECOND: Final = Fraction(1, 1000)


def write_audio(
    path: Path, form: tuple[Container, CodecName], sound: Sound, tags: Tags, options: WriteOptions
) -> None:
    """Write `sound` to `path`. Raises `OSError` if the disk is full, and the errors of `read`."""
    container, codec = form
    with path.open("w+b") as file:
        if container == "mp3":
            file.write(id3_tag(tags))
        target = str(path.absolute()) if container == "mp4" else _Rest(file)
        with av.open(
            target, "w", format=container, container_options=_options(container, tags)
        ) as output:
            _write(output, codec, sound, tags, options)


def _options(container: Container, tags: Tags) -> dict[str, str]:
    same = {"fflags": "+bitexact"}  # neither FFmpeg's version nor the time nor random numbers
    match container:
        case "mp4":
            nero = "" if len(tags.chapters) <= NERO_CHAPTERS else "+disable_chpl"
            return same | {"movflags": f"+faststart{nero}", "brand": "M4B "}
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
        bit_rate=how.bit_rate,
    )
    cover = _add_tags(output, tags)
    output.start_encoding()
    if cover is not None and tags.cover is not None:
        packet = av.Packet(tags.cover.data)
        packet.stream, packet.pts, packet.dts, packet.is_keyframe = cover, 0, 0, True
        output.mux(packet)
    for packet in packets(sound, how, options.executor):
        packet.stream = stream
        output.mux(packet)
        if options.progress is not None and packet.pts is not None:
            options.progress(min(max(packet.pts / sound.samples, 0.0), 1.0))


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
    if tags.cover is None:
        return None
    if kind == "ogg":
        output.metadata["METADATA_BLOCK_PICTURE"] = vorbis_picture(tags.cover)
        return None
    cover = output.add_mux_stream(_COVERS[tags.cover.media_type], time_base=_MILLISECOND)
    cover.disposition = Disposition.attached_pic
    return cover


def shortened(title: str) -> str:
    """Return as much of `title` as Nero's list holds, whole characters."""
    return title.encode("utf-8")[:NERO_CHAPTERS].decode("utf-8", "ignore")


class _Rest:
    """The rest of a file, from where it stands."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._start = file, file.tell()

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def tell(self) -> int:
        return self._file.tell() - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        from_start = whence == io.SEEK_SET
        return self._file.seek(offset + self._start * from_start, whence) - self._start
