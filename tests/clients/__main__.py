"""Serve the English voice, and run each client of this folder against it.

The first argument is the environment that the clients are installed in: Python's, with
`node_modules` beside it if there is Node.js.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

HERE = Path(__file__).parent
LIMIT_S = 180


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_ready(url: str) -> None:
    for _ in range(300):
        try:
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    sys.exit("the server is not ready after a minute")


def failed(command: list[str], url: str) -> bool:
    """Run one client. True if it fails."""
    env = {**os.environ, "LOGURU_LEVEL": "WARNING"}
    try:
        return subprocess.run([*command, url], env=env, timeout=LIMIT_S).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def main(environment: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = ["--models", "hibari", "--host", "127.0.0.1", "--port", str(port)]
    data = tempfile.TemporaryDirectory()  # where clients save voices
    server = subprocess.Popen(
        [sys.executable, "-m", "vivavoce", "serve", *options, "--log-level", "warning"],
        env={**os.environ, "VIVAVOCE_DATA_DIR": data.name},
        stdout=subprocess.DEVNULL,
    )
    clients = {
        path: [str(environment / "bin" / "python"), str(path)]
        for path in sorted(HERE.glob("*.py"))
        if not path.name.startswith("__")
    }
    if node := shutil.which("node"):
        for path in sorted(HERE.glob("*.mjs")):
            # Node.js looks for packages beside the script.
            copy = environment / path.name
            shutil.copy(path, copy)
            clients[path] = [node, str(copy)]
    else:
        print("there is no Node.js here: its clients do not run")
    try:
        wait_ready(url)
        broken = [path.name for path, command in clients.items() if failed(command, url)]
    finally:
        server.terminate()
        server.wait(30)
        data.cleanup()
    sys.exit(f"failed: {', '.join(broken)}" if broken else 0)


main(Path(sys.argv[1]).absolute())
