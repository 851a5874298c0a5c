"""Download a checkpoint from a model hub into its cache or a plain folder.

It knows which files a checkpoint must have. `hub` knows names and folders. The hub's library
transfers the files.
"""

import glob
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vivavoce import __version__
from vivavoce.errors import MissingDependency, UnknownModel, VivavoceError
from vivavoce.models.qwen3_tts.checkpoint.hub import (
    CODEC,
    CONFIG,
    NEEDED,
    WEIGHTS,
    HubId,
    is_wanted,
    task_of,
)
from vivavoce.models.qwen3_tts.checkpoint.packages import HUB, require_packages

if TYPE_CHECKING:
    from huggingface_hub import HfApi

# A partial file that was not written to for so long belongs to a process that has ended.
ABANDONED_S = 3600.0


def pull(hub_id: HubId, *, folder: Path | None = None) -> Path:
    """Download the missing files of a checkpoint, check them and return their folder.

    The files are stored in the hub's cache, or in a folder of the checkpoint's name below `folder`.
    Raises `UnknownModel` if the hub has no such checkpoint, and `MissingDependency` if the files
    cannot be downloaded or stored.
    """
    require_packages(HUB)
    from filelock import FileLock
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # another library's
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    # Otherwise the library also requests a list of programs that may have started it.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    if constants.HF_HUB_OFFLINE:
        problem = f"{str(hub_id)!r} cannot be pulled while HF_HUB_OFFLINE is set: unset it"
        raise MissingDependency(problem)
    if not sys.stderr.isatty():
        disable_progress_bars()
    root = folder or Path(constants.HF_HUB_CACHE)
    lock = root / ".locks" / hub_id.store / "vivavoce.lock"
    api = HfApi(constants.ENDPOINT, library_name="vivavoce", library_version=__version__)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            _remove_abandoned(root / (hub_id.name if folder else hub_id.store))
            return _pull(api, hub_id, root / hub_id.name if folder else None)
    except (HTTPError, OSError, ValueError, KeyError) as error:
        raise _translate(error, hub_id, root) from error


def _pull(api: "HfApi", hub_id: HubId, local_dir: Path | None) -> Path:
    repo, revision = hub_id.repo, hub_id.revision or "main"
    # 1. The listing says which files there are, and how large.
    info = api.model_info(repo, revision=revision, files_metadata=True)
    if local_dir:
        revision = info.sha or revision  # a branch name would be stored in the hub's cache
    listed = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    sizes = {name: size for name, size in listed.items() if is_wanted(name)}
    _check_is_whole(hub_id, sizes)
    # 2. The configuration says whether the rest is worth gigabytes.
    config = Path(api.hf_hub_download(repo, CONFIG, revision=revision, local_dir=local_dir))
    if not task_of(config):
        problem = f"{str(hub_id)!r} is no Qwen3-TTS checkpoint, by its config.json"
        raise UnknownModel(problem, field="model")
    _check_disk({config.parent / name: size for name, size in sizes.items()})
    # 3. The rest, by exact names.
    names = [glob.escape(name) for name in sizes]
    found = Path(
        api.snapshot_download(repo, revision=revision, local_dir=local_dir, allow_patterns=names)
    )
    # 4. The checksums, which plain HTTP transfers do not compare.
    result = api.verify_repo_checksums(repo, revision=revision, local_dir=local_dir)
    for wrong in result.mismatches:
        if wrong["path"] in sizes:
            path = found / wrong["path"]
            path.resolve().unlink()  # in the cache, the file behind the link
            path.unlink(missing_ok=True)
            raise MissingDependency(
                f"{wrong['path']!r} of {repo!r} has another checksum than the hub lists; "
                "it was removed: pull it again"
            )
    return found


def _check_is_whole(hub_id: HubId, paths: Iterable[str]) -> None:
    """Raise `UnknownModel` if `paths` are not a whole checkpoint."""
    weights = [f"{prefix}{WEIGHTS}" for prefix in ("", f"{CODEC}/")]
    missing = [path for path in NEEDED if path not in paths]
    missing += [path for path in weights if path not in paths and f"{path}.index.json" not in paths]
    if missing:
        problem = f"{str(hub_id)!r} is no whole Qwen3-TTS checkpoint: it has no {missing[0]!r}"
        raise UnknownModel(problem, field="model")


def _check_disk(sizes: Mapping[Path, int]) -> None:
    """Raise `MissingDependency` if the disk has no space for the missing files."""
    missing = sum(size for path, size in sizes.items() if not path.exists())
    folder = next(iter(sizes)).parent
    if missing > (free := shutil.disk_usage(folder).free):
        raise MissingDependency(
            f"{missing / 1e9:.1f} GB are to come, and {str(folder)!r} has {free / 1e9:.1f} GB "
            "left: free some, or choose another place with --dir or HF_HOME"
        )


def _remove_abandoned(store: Path) -> None:
    """Remove the partial files of killed pulls, which the hub's library does not continue."""
    for partial in store.rglob("*.incomplete"):
        if time.time() - partial.stat().st_mtime > ABANDONED_S:
            partial.unlink(missing_ok=True)


def _translate(error: Exception, hub_id: HubId, root: Path) -> VivavoceError:
    """Return an error that explains a failure of the hub's library and the next step."""
    from huggingface_hub import constants, errors

    hub, repo = constants.ENDPOINT, hub_id.repo
    response = error.response if isinstance(error, errors.HfHubHTTPError) else None
    status = response.status_code if response is not None else None
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return MissingDependency(
            f"{repo!r} is gated: accept its terms at {hub}/{repo}, set HF_TOKEN to a token of your "
            "account that may read it, and pull it again"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return UnknownModel(
            f"{repo!r} has no revision {hub_id.revision!r}: leave out --revision, or see "
            f"{hub}/{repo}/tree/main",
            field="revision",
        )
    # The hub answers 401 to strangers, so that they cannot tell private from absent.
    if isinstance(error, errors.HFValidationError) or status in (401, 404):
        return UnknownModel(
            f"the hub {hub!r} has no model {repo!r} that you may see: check the spelling, or set "
            "HF_TOKEN if it is private",
            field="model",
        )
    if response is not None:
        return MissingDependency(
            f"the hub answered {status} for {response.request.url.path!r}: pull {repo!r} again"
        )
    if isinstance(error, OSError) and error.errno is not None:
        return MissingDependency(
            f"{str(hub_id)!r} cannot be written to {str(error.filename or root)!r} "
            f"({error.strerror}): free some space or let this user write there, or choose another "
            "place with --dir or HF_HOME, and pull it again"
        )
    if isinstance(error, (ValueError, KeyError)):
        return MissingDependency(
            f"the hub {hub!r} lists {repo!r} in a form of its own ({error!r}): set HF_ENDPOINT to "
            "another, or download the checkpoint by other means and name its folder"
        )
    return MissingDependency(
        f"the hub {hub!r} cannot be reached ({error}): check the network, the proxy and "
        "HF_ENDPOINT, then pull it again"
    )
