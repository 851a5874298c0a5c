"""Check what connections may cost, over real sockets: number, slow requests, unread answers."""

import asyncio
import json
import select
import socket
import ssl
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.test_streaming import Watched, wait_until
from tests.conftest import LONG_TEXT, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.api.middleware.connections import SPARE_CONNECTIONS, Bounds, bounded_http, is_reset
from vivavoce.api.middleware.listener import SILENT_S
from vivavoce.cli.server import GracefulServer
from vivavoce.network.certificate import self_signed
from vivavoce.settings import Settings

SHORT_S = 0.3
NATIVE = "/v1/tts/synthesize"
HEAD = f"POST {NATIVE} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@contextmanager
def bounded(
    watched: Watched | None = None,
    settings: Settings | None = None,
    *,
    max_connections: int = 512,
    receive_timeout_s: float = 20.0,
    send_timeout_s: float = 60.0,
    tls: Mapping[str, Any] | None = None,
) -> Iterator[tuple[str, int]]:
    """Serve with these bounds, and yield the address."""
    http = bounded_http(Bounds(max_connections, receive_timeout_s, send_timeout_s))
    app = create_app(settings or Settings(), watched.pool() if watched else tone_pool())
    # The start loads the readers of languages beside the first requests, in memory of its own.
    app.state.server.synthesizer.router.warm_up()
    with serving(
        app,
        make=lambda config: GracefulServer(config, app.state.server.lifecycle),
        http=http,
        **tls or {},
    ) as url:
        address = httpx.URL(url)
        yield address.host, address.port or 0


def read_all(connection: socket.socket) -> bytes:
    """Return the bytes until the server closes or resets the connection."""
    received = b""
    try:
        while part := connection.recv(65_536):
            received += part
    except ConnectionResetError:
        pass
    return received


def read_until(connection: socket.socket, end: bytes) -> None:
    received = b""
    while not received.endswith(end):
        part = connection.recv(65_536)
        assert part, received
        received += part


def closed_after_s(connection: socket.socket) -> tuple[float, bytes]:
    start = time.monotonic()
    connection.settimeout(10)
    received = read_all(connection)
    return time.monotonic() - start, received


@pytest.mark.parametrize(
    ("begun", "told"),
    [
        ("", b""),  # a browser opens connections ahead of need: nobody waits for an answer
        ("POST", b"HTTP/1.1 408 "),
        (HEAD, b"HTTP/1.1 408 "),
        (f"{HEAD}content-length: 100\r\n\r\n", b"HTTP/1.1 408 "),
        (f'{HEAD}content-length: 100\r\n\r\n{{"text":', b"HTTP/1.1 408 "),
        (f'{HEAD}transfer-encoding: chunked\r\n\r\n8\r\n{{"text":\r\n', b"HTTP/1.1 408 "),
    ],
)
def test_a_request_that_does_not_come_to_its_end_is_given_up(begun: str, told: bytes) -> None:
    with (
        bounded(receive_timeout_s=SHORT_S) as address,
        socket.create_connection(address) as connection,
    ):
        connection.sendall(begun.encode())
        after_s, answer = closed_after_s(connection)
    assert SHORT_S * 0.9 < after_s < SHORT_S + 1
    assert answer.startswith(told)
    assert bool(answer) is bool(told)


def test_a_request_that_trickles_in_is_given_up_though_it_never_stops() -> None:
    with (
        bounded(receive_timeout_s=SHORT_S) as address,
        socket.create_connection(address) as connection,
    ):
        connection.settimeout(0.02)
        start, answer = time.monotonic(), b""
        for letter in (HEAD + "x-more: " + "a" * 1000).encode():
            connection.sendall(bytes([letter]))
            try:
                answer = connection.recv(1000)
                break
            except TimeoutError:
                continue  # nothing yet: on with the next letter
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - start < SHORT_S + 1


def test_the_second_request_of_a_connection_has_the_same_clock() -> None:
    with (
        bounded(receive_timeout_s=SHORT_S) as address,
        socket.create_connection(address) as connection,
    ):
        connection.settimeout(10)
        connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        read_until(connection, b'{"status":"ok"}')
        connection.sendall(b"GET /health/live HT")
        after_s, answer = closed_after_s(connection)
    assert SHORT_S * 0.9 < after_s < SHORT_S + 1
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_body_may_take_its_time_while_it_comes_fast_enough() -> None:
    """Send a body for 1.5 s, five times the timeout: 1,000 bytes earn a second."""
    body = json.dumps({"text": "Hello.", "format": "pcm"}).encode().rjust(3_000)
    with (
        bounded(receive_timeout_s=SHORT_S) as address,
        socket.create_connection(address) as connection,
    ):
        connection.settimeout(10)
        connection.sendall(
            f"{HEAD}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        )
        for start in range(0, len(body) - 200, 200):
            connection.sendall(body[start : start + 200])
            assert not can_be_read(connection, 0.1), "it was given up"
        connection.sendall(body[-200:])
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


def can_be_read(connection: socket.socket, within_s: float) -> bool:
    connection.settimeout(within_s)
    try:
        return connection.recv(1, socket.MSG_PEEK) is not None
    except TimeoutError:
        return False
    finally:
        connection.settimeout(10)


def test_an_answer_may_take_longer_than_its_request_did() -> None:
    body = {"text": "Hello there, all of you.", "format": "pcm", "stream": True}
    with bounded(
        Watched(real_time_factor=0.6), receive_timeout_s=SHORT_S, send_timeout_s=SHORT_S
    ) as (host, port):
        start = time.monotonic()
        assert httpx.post(f"http://{host}:{port}{NATIVE}", json=body, timeout=10).status_code == 200
        assert time.monotonic() - start > 2 * SHORT_S


def stalled(address: tuple[str, int], **more: object) -> socket.socket:
    """Yield a connection that requested endless speech and reads none of it."""
    connection = socket.socket()
    connection.settimeout(10)
    connection.connect(address)
    body = json.dumps(
        {"text": LONG_TEXT, "speaker": "endless", "stream": True, "format": "pcm", **more}
    ).encode()
    connection.sendall(f"{HEAD}content-length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def test_a_reader_that_never_reads_is_dropped_and_its_slot_freed() -> None:
    watched = Watched()
    with bounded(watched, send_timeout_s=SHORT_S) as address, stalled(address) as connection:
        assert connection.recv(15, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")
        assert watched.is_(busy=True)
        wait_until(lambda: watched.is_(busy=False), 5)
        received = read_all(connection)
        assert not received.endswith(b"0\r\n\r\n"), "a stream that was cut must not look whole"


def test_a_slow_reader_is_kept() -> None:
    """Read little by little, with pauses that exceed the timeout only in total."""
    watched = Watched()
    with bounded(watched, send_timeout_s=0.5) as address, stalled(address) as connection:
        got = 0
        for _ in range(12):
            got += len(connection.recv(60_000))
            time.sleep(0.1)
        assert watched.is_(busy=True)
        assert got


def test_forty_readers_that_never_read_take_bounded_memory_and_hold_nobody_up() -> None:
    """Request endless speech: only the bounds of the server can end it."""
    watched = Watched(max_batch=128)  # two pieces of each text are in the model
    with bounded(watched) as address, ExitStack() as stack:
        stack.callback(tracemalloc.stop)
        tracemalloc.start()
        connections = [stack.enter_context(stalled(address)) for _ in range(40)]
        for connection in connections:
            assert connection.recv(15, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")
        for _ in range(20):
            answer = httpx.post(
                f"http://{address[0]}:{address[1]}{NATIVE}", json={"text": "Hello."}, timeout=10
            )
            assert answer.status_code == 200
        _, peak = tracemalloc.get_traced_memory()
    assert (
        peak / 40 < 750_000
    )  # two seconds ahead are 192,000 bytes at the model's rate; the rest is their requests


def test_a_connection_too_many_is_told_so_and_health_still_answers() -> None:
    with bounded(max_connections=2) as (host, port), ExitStack() as stack:
        for _ in range(2):
            speaking((host, port), stack)
        with httpx.Client(base_url=f"http://{host}:{port}") as third:
            for path in (NATIVE, "/v1/audio/speech"):
                refused = third.post(path, json={"text": "Hello."})
                assert refused.status_code == 503
                assert int(refused.headers["retry-after"]) >= 1
                assert refused.json()["error"]["code"] == "overloaded"
            assert third.get("/health/live").status_code == 200
        stack.close()
        with httpx.Client(base_url=f"http://{host}:{port}") as later:
            wait_until(lambda: later.post(NATIVE, json={"text": "Hello."}).status_code == 200, 5)


def asked_health(address: tuple[str, int]) -> socket.socket:
    """Return an open connection that the server has surely counted: it has answered on it."""
    connection = socket.create_connection(address, timeout=10)
    connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
    read_until(connection, b'{"status":"ok"}')
    return connection


def speaking(address: tuple[str, int], stack: ExitStack) -> socket.socket:
    """Return a connection whose answer has started and continues."""
    connection = stack.enter_context(stalled(address))
    assert connection.recv(15, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")
    return connection


def test_the_connection_that_is_silent_for_longest_makes_room_for_another() -> None:
    with bounded(max_connections=1) as address, ExitStack() as stack:
        busy = speaking(address, stack)
        silent = [stack.enter_context(asked_health(address)) for _ in range(SPARE_CONNECTIONS)]
        wait_until(lambda: answers_health(address), 5)
        assert read_all(silent[0]) == b""
        assert not can_be_read(silent[-1], 0.1), "others were closed too"
        assert answer_goes_on(busy)


def answers_health(address: tuple[str, int]) -> bool:
    try:
        return httpx.get(f"http://{address[0]}:{address[1]}/health/live").status_code == 200
    except httpx.TransportError:
        return False


def answer_goes_on(connection: socket.socket) -> bool:
    """True if more comes than the system can have kept."""
    got = 0
    while got < 20 * 2**20 and (part := connection.recv(2**20)):
        got += len(part)
    return got >= 20 * 2**20


def test_silent_connections_hold_nobody_up_however_many_they_are() -> None:
    with bounded(max_connections=8) as address, ExitStack() as stack:
        for _ in range(3 * SPARE_CONNECTIONS):
            stack.enter_context(socket.create_connection(address, timeout=10))
        wait_until(lambda: answers_health(address), 5)
        time.sleep(SILENT_S)  # those that are younger may have a request on the way
        wait_until(lambda: speaks(address), 5)


def speaks(address: tuple[str, int]) -> bool:
    url = f"http://{address[0]}:{address[1]}{NATIVE}"
    return httpx.post(url, json={"text": "Hello."}, timeout=10).status_code == 200


def test_a_body_that_comes_fast_enough_does_not_make_room() -> None:
    body = json.dumps({"text": "Hello.", "format": "pcm"}).encode().rjust(20_000)
    head = f"{HEAD}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with bounded(max_connections=1) as address, ExitStack() as stack:
        slow, silent = (
            stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(2)
        )
        slow.sendall(head)
        assert not can_be_read(slow, 0.5)  # what comes now is known to be the body's
        slow.sendall(body[:-1])
        wait_until(lambda: answers_health(address) and can_be_read(silent, 0.1), 10)
        assert read_all(silent) == b"", "nothing had to make room"
        slow.sendall(body[-1:])
        assert read_all(slow).startswith(b"HTTP/1.1 200 ")


def chunked(count: int, size: int) -> bytes:
    """Return a request with `count` chunks of `size` blanks and one with text."""
    text = json.dumps({"text": "Hello.", "format": "pcm"})
    chunks = f"{size:x}\r\n{' ' * size}\r\n" * count + f"{len(text):x}\r\n{text}\r\n0\r\n\r\n"
    return f"{HEAD}connection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunks}".encode()


@pytest.mark.parametrize(
    ("count", "size", "status"), [(900, 1, 200), (1_100, 1, 413), (9, 6_000, 200), (11, 6_000, 413)]
)
def test_a_small_chunk_counts_as_64_bytes_of_the_limit(count: int, size: int, status: int) -> None:
    settings = Settings(max_body_bytes=65_536)
    with (
        bounded(None, settings) as address,
        socket.create_connection(address, timeout=10) as connection,
    ):
        connection.sendall(chunked(count, size))
        assert read_all(connection).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_body_in_tiny_chunks_leaves_the_loop_to_others() -> None:
    with (
        bounded() as (host, port),
        socket.create_connection((host, port), timeout=10) as connection,
    ):
        connection.setblocking(False)
        sent = connection.send(chunked(100_000, 1))
        assert sent > 100_000  # parsed in one go these take seconds
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=10) as client:
            taken_s = sorted(health_s(client) for _ in range(5))
    assert taken_s[2] < 0.3


def health_s(client: httpx.Client) -> float:
    start = time.monotonic()
    assert client.get("/health/live").status_code == 200
    return time.monotonic() - start


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"stream": True, "format": "mp3"}])
def test_a_client_that_has_closed_its_own_side_gets_its_whole_answer(
    more: dict[str, object],
) -> None:
    body = json.dumps({"text": "Hello there.", **more}).encode()
    with (
        bounded(Watched(real_time_factor=0.6)) as address,
        socket.create_connection(address, timeout=10) as connection,
    ):
        connection.sendall(f"{HEAD}content-length: {len(body)}\r\n\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = HTTPResponse(connection)
        answer.begin()  # past the interim answer
        assert answer.status == 200
        assert len(answer.read()) > 1_000
        assert read_all(connection) == b"", "the connection was not closed"


def test_all_requests_that_came_before_the_client_closed_its_side_are_answered() -> None:
    request = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    with bounded() as address, socket.create_connection(address, timeout=10) as connection:
        connection.sendall(3 * request)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).count(b'{"status":"ok"}') == 3


def test_a_client_that_leaves_after_it_closed_its_side_frees_its_slot() -> None:
    watched = Watched(real_time_factor=0.5)
    with bounded(watched) as address, stalled(address, stream=False) as connection:
        connection.shutdown(socket.SHUT_WR)
        wait_until(lambda: watched.is_(busy=True), 5)
        time.sleep(0.3)
        assert watched.is_(busy=True), "it was given up though the client waits"
        connection.close()
        wait_until(lambda: watched.is_(busy=False), 5)


def test_a_tls_handshake_that_does_not_come_to_its_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography", reason="the extra lan is not installed")
    monkeypatch.setattr("vivavoce.cli.server.HANDSHAKE_TIMEOUT_S", SHORT_S)
    certificate = self_signed(tmp_path, ("localhost",))
    files = {"ssl_certfile": certificate.certificate, "ssl_keyfile": certificate.key}
    with bounded(tls=files) as address, socket.create_connection(address, timeout=10) as connection:
        after_s, answer = closed_after_s(connection)
        assert SHORT_S * 0.9 < after_s < SHORT_S + 1
        assert answer == b""
        trusting = ssl.create_default_context(cafile=certificate.certificate)
        assert (
            httpx.get(f"https://localhost:{address[1]}/health/live", verify=trusting).status_code
            == 200
        )


async def test_a_hundred_idle_connections_do_not_slow_others_down() -> None:
    with bounded() as (host, port):
        idle = [await asyncio.open_connection(host, port) for _ in range(100)]
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=10) as client:
            answers = await asyncio.gather(
                *(client.post(NATIVE, json={"text": "Hello."}) for _ in range(8))
            )
        assert {answer.status_code for answer in answers} == {200}
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()


def test_headers_beyond_their_limit_are_refused() -> None:
    with bounded() as address, socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nx: " + b"a" * 20_000)
        assert read_all(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("request_head", "status", "named"),
    [
        (f"GET {NATIVE}?text={'a' * 20_000} HTTP/1.1\r\nhost: x\r\n\r\n", 431, "request_id"),
        (f"GET {NATIVE}?text=a HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", 400, "request_id"),
        (f"GET /v1/audio/voices?model={'a' * 20_000}", 431, "param"),
        ("GET / HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n", 400, "param"),
        ("\x16\x03\x01 \r\n\r\n", 400, "param"),  # TLS to a port of plain HTTP
    ],
)
def test_request_that_cannot_be_parsed_is_refused_in_the_format_of_its_api(
    request_head: str, status: int, named: str
) -> None:
    with bounded() as address, socket.create_connection(address, timeout=10) as connection:
        connection.sendall(request_head.encode("latin-1"))
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/json" in head
    assert b"connection: close" in head
    error = json.loads(body)["error"]
    assert error["code"] == "invalid_request"
    assert named in error
    assert ("POST" in error["message"]) == (status == 431)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://127.0.0.1:8000/health", 200),
        ("HTTP://localhost/v1/tts/speakers?model=tone", 200),
        ("http://localhost", 200),  # the page
        ("http://localhost?x", 200),
        ("http://evil.example/health", 403),
        ("http://127.0.0.1@evil.example/health", 403),
        ("ftp://127.0.0.1/health", 404),
    ],
)
def test_target_may_be_a_whole_url_whose_host_counts(target: str, status: int) -> None:
    with (
        bounded(settings=Settings(host="127.0.0.1")) as address,
        socket.create_connection(address, timeout=10) as connection,
    ):
        head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode("ascii"))
        assert read_all(connection).startswith(b"HTTP/1.1 %d " % status)


def test_reset_connection_is_told_from_a_half_closed_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        connection, _ = listening.accept()
        with connection:
            client.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
            assert not is_reset(connection.fileno())
            client.close()
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            deadline_s = time.monotonic() + 10
            while not is_reset(connection.fileno()) and time.monotonic() < deadline_s:
                time.sleep(0.001)  # the reset is on its way, and nothing tells of it
            assert is_reset(connection.fileno())


@pytest.mark.parametrize("head", ["X: " + "a" * 20_000, "\r\n".join(["X: a"] * 20_000)])
def test_large_head_is_refused_also_when_it_comes_at_once(head: str) -> None:
    with bounded() as address, socket.create_connection(address, timeout=10) as connection:
        request = f"GET /health/live HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n"
        connection.sendall(request.encode("ascii"))
        assert connection.recv(100).startswith(b"HTTP/1.1 431 ")


@pytest.mark.slow
def test_idle_connection_outlives_those_that_clients_keep() -> None:
    """Else a request is now and then sent on one that is just being closed, and has no answer."""
    with bounded() as address, closing(HTTPConnection(*address)) as client:
        for wait_s in (6.0, 0.0):  # httpx closes its own after 5 s
            client.request("GET", "/health")
            assert client.getresponse().read().startswith(b"{")
            assert select.select([client.sock], [], [], wait_s)[0] == []
