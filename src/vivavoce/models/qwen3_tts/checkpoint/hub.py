"""List, locate and remove checkpoints that were pulled from a model hub.

Checkpoints are kept in the hub's own cache (`HF_HOME`, `HF_HUB_CACHE`), which other programs share,
or in plain folders. It knows that cache and the names of a checkpoint's files. It does not know
their contents, and makes no network request.
"""

import json
import re
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Self

from vivavoce.errors import BadRequest, MissingDependency, UnknownModel
from vivavoce.models.qwen3_tts.checkpoint.packages import HUB, require_packages
from vivavoce.permissions import require_readable

if TYPE_CHECKING:
    from huggingface_hub import HFCacheInfo

_SIZES = ("0.6B-CustomVoice", "1.7B-CustomVoice", "1.7B-VoiceDesign", "0.6B-Base", "1.7B-Base")
RELEASED = tuple(f"Qwen/Qwen3-TTS-12Hz-{size}" for size in _SIZES)
CONFIG, CODEC, WEIGHTS = "config.json", "speech_tokenizer", "model.safetensors"
_OWN = (CONFIG, "generation_config.json", "vocab.json", "merges.txt", "tokenizer_config.json")
NEEDED = (*_OWN, f"{CODEC}/{CONFIG}")
# Files that the loader reads, by folder. Weights as safetensors alone, which cannot run code.
PATTERNS = {
    ".": (*_OWN, "*.safetensors", "*.safetensors.index.json"),
    CODEC: ("*.json", "*.safetensors"),
}

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REVISION = re.compile(r"\w[\w./-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class HubId:
    """A repository on the hub, `owner/name`, with an optional branch, tag or commit."""

    repo: str
    revision: str | None = None

    @classmethod
    def parse(cls, name: str, revision: str | None = None) -> Self:
        """Parse `owner/name`, or the name of a released checkpoint in any case.

        `@REVISION` may follow. Raises `UnknownModel` for any other name, `BadRequest` for an
        invalid revision.
        """
        short, _, behind = name.partition("@")
        released = {repo.rpartition("/")[2].lower(): repo for repo in RELEASED}
        repo = released.get(short.lower(), short)
        if not _REPO.fullmatch(repo):
            raise UnknownModel(
                f"{name!r} is no model that can be pulled: name kokoro, one of "
                f"{', '.join(RELEASED)}, or another Qwen3-TTS checkpoint by its hub id, OWNER/NAME",
                field="model",
            )
        wanted = revision or behind or None
        if wanted is not None and (not _REVISION.fullmatch(wanted) or ".." in wanted):
            problem = f"{wanted!r} is no revision: name a branch, a tag or a commit"
            raise BadRequest(problem, field="revision")
        return cls(repo, wanted)

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}" if self.revision else self.repo

    @property
    def name(self) -> str:
        return self.repo.rpartition("/")[2]

    @property
    def store(self) -> str:
        """Name of its folder in the hub's cache."""
        return f"models--{self.repo.replace('/', '--')}"


@dataclass(frozen=True, slots=True)
class Pulled:
    """A checkpoint in the hub's cache, at one revision."""

    id: HubId
    task: str
    folder: Path
    size_bytes: int


def locate(source: str | Path) -> Path:
    """Return the folder of a checkpoint: the path `source`, or that of a pulled one.

    Makes no network request. Raises `MissingDependency` if files are absent or not readable.
    """
    if isinstance(source, Path):
        _require_readable(source)
        return source
    require_packages(HUB)
    from huggingface_hub import constants, try_to_load_from_cache

    hub_id = HubId.parse(source)
    store = Path(constants.HF_HUB_CACHE) / hub_id.store
    require_readable(store, store / "refs", store / "snapshots")
    config = try_to_load_from_cache(hub_id.repo, CONFIG, constants.HF_HUB_CACHE, hub_id.revision)
    if not isinstance(config, str):
        raise MissingDependency(
            f"{source!r} is no folder here, and the checkpoint of that hub id is not pulled; run: "
            f"vivavoce models pull {hub_id}"
        )
    folder = Path(config).parent
    _require_readable(folder)
    if absent := _absent(folder):
        problem = f"of {source!r}, {absent[0]!r} is not here; run: vivavoce models pull {hub_id}"
        raise MissingDependency(problem)
    return folder


def pulled() -> list[Pulled]:
    """Return the Qwen3-TTS checkpoints in the hub's cache, sorted by name.

    The list is empty without the package that reads the cache. Raises `MissingDependency` if the
    cache is not readable.
    """
    try:
        require_packages(HUB)
    except MissingDependency:
        return []
    found = []
    cache = _scan()
    for repo in cache.repos if cache else ():
        for one in repo.revisions:
            folder, task = one.snapshot_path, task_of(one.snapshot_path / CONFIG)
            if repo.repo_type == "model" and task and not _absent(folder):
                name = min(one.refs, default=one.commit_hash)
                hub_id = HubId(repo.repo_id, None if "main" in one.refs else name)
                found.append(Pulled(hub_id, task, folder, one.size_on_disk))
    return sorted(found, key=lambda one: str(one.id))


def remove(hub_id: HubId, *, folder: Path | None = None) -> tuple[Path, int] | None:
    """Remove a pulled checkpoint and return its path and size in bytes.

    Returns None if it is not there. All its revisions are removed, unless the id names one. Other
    files in the cache or in `folder` stay.
    """
    if folder is not None:
        return _remove_files(folder / hub_id.name)
    require_packages(HUB)
    cache, wanted = _scan(), ("model", hub_id.repo)
    repos = cache.repos if cache else ()
    found = [repo for repo in repos if (repo.repo_type, repo.repo_id) == wanted]
    if not cache or not found:
        return None
    (repo,) = found
    if not all(task_of(revision.snapshot_path / CONFIG) for revision in repo.revisions):
        problem = f"{hub_id.repo!r} in {str(repo.repo_path)!r} is no Qwen3-TTS checkpoint"
        raise UnknownModel(f"{problem}: remove it with hf cache rm", field="model")
    revision = hub_id.revision
    commits = [
        one.commit_hash for one in repo.revisions if revision in (None, one.commit_hash, *one.refs)
    ]
    # Only in this repository: a duplicate on the hub has the same commits.
    plan = replace(cache, repos=frozenset(found)).delete_revisions(*commits)
    plan.execute()
    return (repo.repo_path, plan.expected_freed_size) if commits else None


def is_wanted(path: str) -> bool:
    """True if the loader reads the repository file `path`."""
    parent, _, name = path.rpartition("/")
    return any(fnmatch(name, pattern) for pattern in PATTERNS.get(parent or ".", ()))


def _require_readable(folder: Path) -> None:
    """Raise `MissingDependency` if a file that the loader needs is not readable."""
    require_readable(folder, folder / CODEC, *(folder / name for name in _needed(folder)))


def _absent(folder: Path) -> list[str]:
    """Return the files that a checkpoint's folder lacks."""
    return [name for name in _needed(folder) if not (folder / name).is_file()]


def _needed(folder: Path) -> list[str]:
    """Return the files that the loader needs, including the weights that an index names."""
    names = list(NEEDED)
    for prefix in ("", f"{CODEC}/"):
        index = f"{prefix}{WEIGHTS}.index.json"
        try:
            shards = json.loads((folder / index).read_text("utf-8"))["weight_map"].values()
            names += sorted({f"{prefix}{Path(shard).name}" for shard in shards})
        except FileNotFoundError:
            names.append(prefix + WEIGHTS)
        except OSError:
            names.append(index)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # the loader reports the damage
    return names


def task_of(config: Path) -> str | None:
    """Return the task in a `config.json`, or None without one of Qwen3-TTS."""
    try:
        values = json.loads(config.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    task = values.get("tts_model_type") if isinstance(values, dict) else None
    return task if isinstance(task, str) else None


def _scan() -> "HFCacheInfo | None":
    """Return the contents of the hub's cache, or None if there is no cache."""
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        return scan_cache_dir(constants.HF_HUB_CACHE)
    except CacheNotFound:
        return None
    except PermissionError as error:
        require_readable(Path(error.filename))
        raise


def _remove_files(place: Path) -> tuple[Path, int] | None:
    """Remove the files of a pull from the folder `place`, then empty folders."""
    paths = sorted(place.rglob("*"), reverse=True)  # files before their folder
    names = {path: path.relative_to(place).as_posix() for path in paths if path.is_file()}
    # The hub's library keeps its metadata in that folder.
    metadata = ".cache/huggingface/"
    ours = [path for path, name in names.items() if is_wanted(name) or name.startswith(metadata)]
    removed = sum(path.stat().st_size for path in ours)
    for path in ours:
        path.unlink()
    for path in [*paths, place]:
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    return (place, removed) if ours else None
