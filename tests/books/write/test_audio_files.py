"""Check the audio files of books: sound, chapters, tags and covers, as others read them."""

import io
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
import pytest

from tests.books.write.narrations import TEXT, narrated, png, short, starts_s
from tests.decoding import decode
from vivavoce.books.book import Block, Picture
from vivavoce.books.processes import Processes
from vivavoce.books.write import BookFormat, WriteOptions, write_book
from vivavoce.books.write.encode import PART_S
from vivavoce.books.write.mux import shortened

AUDIO: tuple[BookFormat, ...] = ("m4b", "mp3", "opus", "flac")
TITLES = {
    "one": ["Alone"],
    "strange": [
        "",
        "😀 Été",
        "פרק שני",
        'He said: "No"',
        "two\nlines",
        "a;b=c\\#",
        "é" * 300,
        "\0x\x07",
    ],
    "many": [f"Part {number}" for number in range(300)],
}
SHOWN = {
    "one": ["Alone"],
    "strange": ["1", "😀 Été", "פרק שני", 'He said: "No"', "two lines", "a;b=c\\#", "é" * 300, "x"],
    "many": TITLES["many"],
}  # fmt: skip


def written(folder: Path, narration: Any, format: BookFormat, **options: Any) -> Path:
    target = folder / f"book.{format}"
    write_book(narration, format, target, WriteOptions(**options))
    return target


def probed(path: Path) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-print_format", "json"]
    command += ["-show_format", "-show_chapters", "-show_streams", str(path)]
    found = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert found.stderr == b""
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer


@pytest.mark.parametrize("titles", TITLES)
@pytest.mark.parametrize("format", AUDIO)
def test_chapters_are_where_they_are(tmp_path: Path, format: BookFormat, titles: str) -> None:
    narration = short(tmp_path, TITLES[titles])
    path = written(tmp_path, narration, format)
    truth = starts_s(narration)
    with av.open(str(path)) as container:
        chapters = container.chapters()
    starts = [float(each["start"] * each["time_base"]) for each in chapters]  # type: ignore[operator]
    assert starts == pytest.approx(truth, abs=0.002)
    names = [each["metadata"]["title"] for each in chapters]
    shown = [shortened(name) if format == "m4b" else name for name in SHOWN[titles]]
    assert names == shown
    if shutil.which("ffprobe"):
        found = probed(path)["chapters"]
        assert [float(each["start_time"]) for each in found] == pytest.approx(truth, abs=0.05)
        assert [each["tags"]["title"] for each in found] == shown


@pytest.mark.parametrize("format", AUDIO)
def test_the_sound_is_the_narration(tmp_path: Path, format: BookFormat) -> None:
    narration = short(tmp_path, ["One", "Two", "Three"], TEXT)
    heard, rate = decode(written(tmp_path, narration, format).read_bytes())
    truth = np.concatenate([decode(each.path.read_bytes())[0] for each in narration.chapters])
    if format == "flac":
        assert np.array_equal(heard, truth)
        return
    heard = heard[:: rate // narration.rate_hz][: len(truth)]  # opus is decoded at 48 kHz
    # mp3's frames are not cut, so decoders that know no delay begin a little earlier
    lag = max(
        range(-1200, 1200),
        key=lambda lag: float(heard[5000:20000] @ truth[5000 + lag : 20000 + lag]),
    )
    assert abs(lag) <= (1105 if format == "mp3" else 2)
    assert abs(len(heard) - len(truth)) <= 1152
    a, b = heard[1200:-1200], truth[1200 + lag : len(heard) - 1200 + lag]
    assert np.corrcoef(a, b)[0, 1] > 0.98


@pytest.mark.parametrize("format", ["m4b", "mp3", "opus"])
def test_parts_follow_each_other_as_one(tmp_path: Path, format: BookFormat) -> None:
    """At 8 kHz beeps are three times as long, so that few of them make three parts."""
    narration = short(tmp_path, ["One", "Two"], TEXT * 10, rate_hz=8000)
    total_s = sum(each.samples for each in narration.chapters) / narration.rate_hz
    assert 2 * PART_S < total_s < 4 * PART_S
    one = written(tmp_path, narration, format).read_bytes()
    with Processes(2) as executor:
        assert written(tmp_path, narration, format, executor=executor).read_bytes() == one
    heard, rate = decode(one)
    truth = np.concatenate([decode(each.path.read_bytes())[0] for each in narration.chapters])
    assert len(heard) / rate == pytest.approx(total_s, abs=0.2)
    heard = heard[:: rate // narration.rate_hz]
    # as good in every second as elsewhere: no part is missing, doubled, or begins with a click
    errors = [
        np.sqrt(np.mean((heard[at : at + 8000] - truth[at : at + 8000]) ** 2))
        for at in range(0, len(truth) - 8000, 8000)
    ]
    assert max(errors) < 0.005  # a step aside by one sample would be 0.1


@pytest.mark.parametrize("format", AUDIO)
@pytest.mark.parametrize("picture", ["png", "jpeg", "none", "wrong"])
def test_covers_are_kept(tmp_path: Path, format: BookFormat, picture: str) -> None:
    jpeg = _jpeg()
    covers = {
        "png": png(), "jpeg": jpeg, "none": None, "wrong": Picture(b"no picture", "image/png"),
    }  # fmt: skip
    path = written(tmp_path, short(tmp_path, ["One"], cover=covers[picture]), format)
    cover = covers[picture] if picture in ("png", "jpeg") else None
    with av.open(str(path)) as container:
        found = [bytes(packet) for packet in container.demux() if packet.stream.type == "video"]
    assert [data for data in found if data] == ([cover.data] if cover else [])


def test_nero_chapters_end_at_255(tmp_path: Path) -> None:
    every = short(tmp_path, ["x"] * 256)
    for count in (255, 256):
        book = replace(every.book, chapters=every.book.chapters[:count])
        narration = replace(every, book=book, chapters=every.chapters[:count])
        data = written(tmp_path, narration, "m4b").read_bytes()
        assert (b"chpl" in data) == (count == 255)
        assert b"text" in data[: data.index(b"mdat")]  # QuickTime's chapters, in any number
        assert data.index(b"moov") < data.index(b"mdat")
        assert data[8:12] == b"M4B "


@pytest.mark.parametrize("format", AUDIO)
def test_tags_name_the_book(tmp_path: Path, format: BookFormat) -> None:
    narration = short(tmp_path, ["One"], title='The "Lamp"\n of 😀')
    with av.open(str(written(tmp_path, narration, format))) as container:
        tags = {name.lower(): value for name, value in container.metadata.items()}
        tags |= {n.lower(): value for n, value in container.streams[0].metadata.items()}
    assert tags["title"] == tags["album"] == 'The "Lamp" of 😀'
    assert tags["artist"] == "Ann Author, Ben Writer"
    assert tags["composer"] == "Sine"
    assert tags["genre"] == "Audiobook"
    assert tags["comment"] == "vivavoce; synthetic speech; model=tone; voice=sine"


def test_opus_fits_into_mp4(tmp_path: Path) -> None:
    narration = short(tmp_path, ["One", "Two"], rate_hz=16000)
    with av.open(str(written(tmp_path, narration, "m4b", opus=True))) as container:
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")
        assert len(container.chapters()) == 2


def test_other_rates_are_converted_for_opus(tmp_path: Path) -> None:
    narration = short(tmp_path, ["One", "Two"], TEXT, rate_hz=22050)
    path = written(tmp_path, narration, "opus")
    with av.open(str(path)) as container:
        starts = [float(each["start"] * each["time_base"]) for each in container.chapters()]  # type: ignore[operator]
    assert starts == pytest.approx(starts_s(narration), abs=0.002)
    heard, rate = decode(path.read_bytes())
    total_s = sum(each.samples for each in narration.chapters) / narration.rate_hz
    assert len(heard) / rate == pytest.approx(total_s, abs=0.02)


@pytest.mark.parametrize("format", get_args(BookFormat))
def test_files_are_the_same_each_time(tmp_path: Path, format: BookFormat) -> None:
    narration = narrated(tmp_path, [("One", [Block(TEXT)]), ("Two", [Block(TEXT)])], cover=png())
    files = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        path = written(folder, narration, format)
        parts = sorted(path.iterdir()) if format == "folder" else [path]
        files.append([part.read_bytes() for part in parts])
        assert sorted(folder.iterdir()) == [path], "no file beside it"
    assert files[0] == files[1]


def _jpeg() -> Picture:
    """Return a small grey picture."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="image2pipe") as container:
        stream = container.add_stream("mjpeg", 1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.full((24, 16), 128, np.uint8), "yuvj420p")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Picture(sink.getvalue(), "image/jpeg")
