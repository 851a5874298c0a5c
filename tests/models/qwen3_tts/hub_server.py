"""Serve the part of the hub's HTTP API that downloads models, from a folder."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" * 6 + "c0ff"
LARGE = 100_000  # bytes from which a file is kept apart, under its SHA-256, behind a redirect


@dataclass
class Hub:
    """State of the server. Tests change it while it runs."""

    folder: Path  # owner/name/files
    url: str = ""
    revisions: tuple[str, ...] = ("main", COMMIT)
    gated: set[str] = field(default_factory=set)  # repositories that ask for the token "hf_good"
    cut_after: dict[str, int] = field(
        default_factory=dict
    )  # file → bytes after which the connection is cut, once
    hold_after: dict[str, int] = field(
        default_factory=dict
    )  # file → bytes after which the rest waits for `release`
    release: Event = field(default_factory=Event)
    down: set[str] = field(default_factory=set)  # files for which the answer is 503
    stated: dict[str, int] = field(
        default_factory=dict
    )  # file → size that the list states, whatever it is
    spoiled: set[str] = field(default_factory=set)  # files that come with a wrong byte
    ranges: bool = True
    served: Counter[str] = field(default_factory=Counter)  # file → bytes sent of it
    strange: list[str] = field(default_factory=list)  # requests that fetching a model does not need
    tokens: set[tuple[str, str]] = field(
        default_factory=set
    )  # (kind of request, authorization that it came with)

    def files(self, repo: str) -> list[Path]:
        folder = self.folder / repo
        return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())

    def entry(self, repo: str, path: Path) -> dict[str, object]:
        """Return the listing of a file."""
        data = (self.folder / repo / path).read_bytes()
        size = self.stated.get(path.as_posix(), len(data))
        lfs: dict[str, object] = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "oid": hashlib.sha256(data).hexdigest(),
            "size": size,
        }
        lfs["pointerSize"] = 134
        git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return {"size": size, "blobId": git, "oid": git} | (
            {"lfs": lfs} if len(data) >= LARGE else {}
        )

    def etag(self, repo: str, path: Path) -> str:
        data = (self.folder / repo / path).read_bytes()
        large = len(data) >= LARGE
        return (
            hashlib.sha256(data).hexdigest()
            if large
            else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        )


@contextmanager
def hub_server(folder: Path) -> Iterator[Hub]:
    """Yield a hub over the models in `folder`."""
    hub = Hub(folder)

    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.release.set()
            server.shutdown()
            thread.join(30)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        match parts:
            case ["api", "models", owner, name, "revision", *revision]:
                self._list(f"{owner}/{name}", "/".join(revision))
            case ["api", "models", owner, name, "tree", *revision]:
                self._tree(f"{owner}/{name}", "/".join(revision))
            case [owner, name, "resolve", revision, *path]:
                self._resolve(f"{owner}/{name}", revision, Path(*path))
            case ["store", owner, name, *path]:
                self._send(f"{owner}/{name}", Path(*path), "store")
            case _:
                self.hub.strange.append(self.path)
                self._fail(404, "")

    def _allows(self, repo: str, revision: str) -> bool:
        """True if `repo` may be seen. Otherwise the error was sent."""
        if not (self.hub.folder / repo).is_dir():
            self._fail(401, "RepoNotFound")  # as the hub does for who is not logged in
        elif repo in self.hub.gated and self.headers["authorization"] != "Bearer hf_good":
            self._fail(401 if "authorization" not in self.headers else 403, "GatedRepo")
        elif revision not in self.hub.revisions:
            self._fail(404, "RevisionNotFound")
        else:
            return True
        return False

    def _list(self, repo: str, revision: str) -> None:
        if self._allows(repo, revision):
            files = [
                {"rfilename": path.as_posix(), **self.hub.entry(repo, path)}
                for path in self.hub.files(repo)
            ]
            self._json(
                {
                    "id": repo,
                    "sha": COMMIT,
                    "siblings": files,
                    "private": False,
                    "tags": [],
                    "downloads": 0,
                }
            )

    def _tree(self, repo: str, revision: str) -> None:
        if self._allows(repo, revision):
            files = [
                {"path": path.as_posix(), **self.hub.entry(repo, path)}
                for path in self.hub.files(repo)
            ]
            self._json([{"type": "file", **file} for file in files])

    def _resolve(self, repo: str, revision: str, path: Path) -> None:
        if not self._allows(repo, revision):
            return
        if (self.hub.folder / repo / path).stat().st_size < LARGE:
            self._send(repo, path, "resolve")
            return
        # Another host, as the hub's file store is: who follows must leave the token behind.
        store = self.hub.url.replace("127.0.0.1", "localhost")
        self.send_response(302)
        self.send_header("location", f"{store}/store/{repo}/{path.as_posix()}")
        self.send_header("x-linked-size", str((self.hub.folder / repo / path).stat().st_size))
        self.send_header("x-linked-etag", f'"{self.hub.etag(repo, path)}"')
        self.send_header("x-repo-commit", COMMIT)
        self.send_header("content-length", "0")
        self.end_headers()

    def _send(self, repo: str, path: Path, kind: str) -> None:
        name = path.as_posix()
        self.hub.tokens.add((kind, self.headers["authorization"] or ""))
        if name in self.hub.down:
            self._fail(503, "")
            return
        data = (self.hub.folder / repo / path).read_bytes()
        if name in self.hub.spoiled:
            data = data[:-1] + bytes([data[-1] ^ 1])
        start = (
            int(self.headers["range"].removeprefix("bytes=").rstrip("-"))
            if "range" in self.headers
            else 0
        )
        start = start if self.hub.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("content-range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("content-length", str(len(data) - start))
        self.send_header("etag", f'"{self.hub.etag(repo, path)}"')
        self.send_header("x-repo-commit", COMMIT)
        self.end_headers()
        if self.command != "GET":
            return
        cut, hold = self.hub.cut_after.pop(name, None), self.hub.hold_after.pop(name, None)
        part = data[start : cut or hold]
        self.wfile.write(part)
        self.hub.served[name] += len(part)
        if hold and self.hub.release.wait(60):
            self.wfile.write(data[start + hold :])
            self.hub.served[name] += len(data) - start - hold
        self.close_connection = bool(cut)

    def _json(self, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def _fail(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("x-error-code", code)
        self.send_header("x-error-message", "refused")
        self.send_header("content-length", "0")
        self.end_headers()
