"""Brings a checkpoint from a model hub into the hub's cache on this machine, or into a plain folder.

It knows where files belong and which are here already; `hub` knows the names, `download` how a file comes.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from vivavoce.engines.qwen.download import Hub, HubFile, checksum, open_hub
from vivavoce.engines.qwen.hub import CODEC, CONFIG, NEEDED, PARTIAL, WEIGHTS, HubId, is_wanted, task_of
from vivavoce.engines.qwen.packages import HUB, require_packages
from vivavoce.errors import MissingDependency, UnknownModel

Progress = Callable[[str, int, int], None]  # what is being brought, bytes here, bytes in all


def pull(hub_id: HubId, *, folder: Path | None = None, progress: Progress | None = None) -> Path:
    """Brings what is not here yet of a checkpoint and returns its folder, complete and checked.

    It goes into the hub's cache, or into a folder of its name below `folder`. What came of a file before a pull broke
    off is kept, and the next one goes on from there. Raises `UnknownModel` if the hub has none of that id, and
    `MissingDependency` if it cannot be had or there is no room.
    """
    require_packages(HUB)
    from filelock import FileLock
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise MissingDependency(f"{str(hub_id)!r} cannot be pulled while HF_HUB_OFFLINE is set: unset it")
    root = folder or Path(constants.HF_HUB_CACHE)
    lock = root / ".locks" / hub_id.store / "vivavoce.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock), open_hub(constants.ENDPOINT, get_token()) as hub:
            return _pull(hub, hub_id, root, in_cache=folder is None, report=progress or (lambda *_: None))
    except OSError as error:
        raise MissingDependency(
            f"{str(hub_id)!r} cannot be written to {str(error.filename or root)!r} ({error.strerror or error}): make "
            "room, or choose another place with --dir or HF_HOME, and pull it again"
        ) from error


def _pull(hub: Hub, hub_id: HubId, root: Path, *, in_cache: bool, report: Progress) -> Path:
    revision = hub_id.revision or "main"
    listing = hub.files(hub_id.repo, revision)
    files = [file for file in listing.files if is_wanted(file.path)]
    _check_is_whole(hub_id, {file.path for file in files})
    place = root / hub_id.store / "blobs" if in_cache else root / hub_id.name
    targets = {file: place / (file.checksum if in_cache else file.path) for file in files}
    _bring(hub, hub_id, listing.commit, targets, report)
    return _link(root / hub_id.store, revision, listing.commit, targets) if in_cache else place


def _check_is_whole(hub_id: HubId, paths: set[str]) -> None:
    """Raises `UnknownModel` if these files cannot be a whole checkpoint."""
    weights = [f"{prefix}{WEIGHTS}" for prefix in ("", f"{CODEC}/")]
    lacking = [path for path in NEEDED if path not in paths]
    lacking += [path for path in weights if path not in paths and f"{path}.index.json" not in paths]
    if lacking:
        raise UnknownModel(f"{str(hub_id)!r} is no whole Qwen3-TTS checkpoint: it has no {lacking[0]!r}", field="model")


def _bring(hub: Hub, hub_id: HubId, commit: str, targets: Mapping[HubFile, Path], report: Progress) -> None:
    """Brings the files whose targets are not there; each appears in one step, whole and checked."""
    absent = [file for file, target in targets.items() if not _is_here(file, target)]
    partials = {file: _partial(file, targets[file]) for file in absent}
    _check_room({partial: file.size for file, partial in partials.items()})
    total = sum(file.size for file in targets)
    before = total - sum(file.size for file in absent)
    # The configuration first: it says whether the rest is worth gigabytes. Then what is small.
    for file in sorted(absent, key=lambda file: (file.path != CONFIG, file.size)):

        def watch(here: int, file: HubFile = file, before: int = before) -> None:
            report(file.path, before + here, total)

        partials[file].parent.mkdir(parents=True, exist_ok=True)
        hub.fetch(hub_id.repo, commit, file, partials[file], watch)
        if file.path == CONFIG and not task_of(partials[file]):
            partials[file].unlink()
            raise UnknownModel(f"{str(hub_id)!r} is no Qwen3-TTS checkpoint, by its config.json", field="model")
        partials[file].replace(targets[file])
        before += file.size


def _is_here(file: HubFile, target: Path) -> bool:
    """Whether `target` is `file`. In the cache files are called by their checksums, which were checked on arrival."""
    if not target.is_file() or target.stat().st_size != file.size:
        return False
    return target.name == file.checksum or checksum(target, file) == file.checksum


def _partial(file: HubFile, target: Path) -> Path:
    """Where `file` grows: beside `target`, under a name that another revision's file does not have."""
    name = target.name if target.name == file.checksum else f"{target.name}.{file.checksum[:12]}"
    return target.with_name(f"{name}{PARTIAL}")


def _check_room(sizes: Mapping[Path, int]) -> None:
    """Raises `MissingDependency` if the disk has no room for files of these sizes, less what is there of them."""
    missing = sum(size - (path.stat().st_size if path.exists() else 0) for path, size in sizes.items())
    if not sizes:
        return
    folder = next(parent for parent in next(iter(sizes)).parents if parent.exists())
    if missing > (free := shutil.disk_usage(folder).free):
        raise MissingDependency(
            f"{missing / 1e9:.1f} GB are to come, and {str(folder)!r} has {free / 1e9:.1f} GB left: make room, or "
            "choose another place with --dir or HF_HOME"
        )


def _link(store: Path, revision: str, commit: str, blobs: Mapping[HubFile, Path]) -> Path:
    """Makes the snapshot of a commit in the hub's cache, as its documentation describes, and what points at it."""
    snapshot = store / "snapshots" / commit
    for file, blob in blobs.items():
        path = snapshot / file.path
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # a link that leads nowhere
        try:
            path.symlink_to(os.path.relpath(blob, path.parent))
        except OSError:  # Windows asks for a right to make links, and for none to make this kind
            path.hardlink_to(blob)
    if revision != commit:
        ref = store / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit, "utf-8")
    return snapshot
