"""Test a real server on a local network: self-signed https, and mDNS."""

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from queue import Queue

import httpx
import pytest

from tests.conftest import app_client, tone_pool
from tests.decoding import wav_seconds
from vivavoce.api.app import create_app
from vivavoce.errors import SettingsError
from vivavoce.network.addresses import network_url, own_names
from vivavoce.network.certificate import Certificate, load_certificate, self_signed
from vivavoce.network.mdns import SERVICE, advertise
from vivavoce.settings import Settings

needs_cryptography = pytest.mark.skipif(
    find_spec("cryptography") is None, reason="the extra lan is not installed"
)
needs_zeroconf = pytest.mark.skipif(
    find_spec("zeroconf") is None, reason="the extra lan is not installed"
)
NAMES = ("localhost", "127.0.0.1", "::1")


@contextmanager
def serving_process(folder: Path, *options: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the URL of `vivavoce serve` on a free port, and its output at the start."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("VIVAVOCE_")
    }
    command = [
        sys.executable, "-m", "vivavoce", "serve", "--models", "tone", "--host", "127.0.0.1",
        "--port", "0",
    ]  # fmt: skip
    process = subprocess.Popen(
        [*command, *options],
        env={**environment, "VIVAVOCE_CACHE_DIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if "startup complete" in line:
                break
        else:
            pytest.fail("".join(said))
        yield next(line.split()[1] for line in said if line.startswith("  page")), said
    finally:
        process.terminate()
        process.communicate(timeout=30)


@needs_cryptography
def test_https_client_that_trusts_the_certificate_gets_page_and_speech_from_one_origin(
    tmp_path: Path,
) -> None:
    with serving_process(tmp_path, "--tls-self-signed") as (url, said):
        assert url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=tmp_path / "tls" / "certificate.pem")
        with httpx.Client(base_url=url.rstrip("/"), verify=trusting) as client:
            assert "<title>vivavoce</title>" in client.get("/").text
            wav = client.get("/v1/tts/synthesize", params={"text": "Hello there."}).content
            assert wav_seconds(wav) > 0.5
        with pytest.raises(httpx.ConnectError, match="self-signed"):
            httpx.get(url)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url.replace("https", "http"))
    pinned = Certificate(
        tmp_path / "tls" / "certificate.pem", tmp_path / "tls" / "key.pem"
    ).fingerprint()
    assert any(pinned in line for line in said)


@needs_cryptography
def test_certificate_is_kept_and_made_anew_only_for_a_name_that_it_lacks(tmp_path: Path) -> None:
    first = self_signed(tmp_path, NAMES).fingerprint()
    assert self_signed(tmp_path, NAMES[:1]).fingerprint() == first
    assert self_signed(tmp_path, (*NAMES, "192.168.7.9")).fingerprint() != first
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0


@needs_cryptography
def test_certificate_vouches_for_this_server_alone_and_for_years(tmp_path: Path) -> None:
    from cryptography import x509

    files = self_signed(tmp_path, NAMES)
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=800)


@needs_cryptography
def test_damaged_certificate_is_replaced(tmp_path: Path) -> None:
    files = self_signed(tmp_path, NAMES)
    files.key.write_text("not a key", "ascii")
    again = self_signed(tmp_path, NAMES)
    assert load_certificate(again.certificate, again.key) == files


def test_certificate_of_the_user_is_checked_before_anything_is_served(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.pem.*tls_certificate"):
        load_certificate(tmp_path / "missing.pem", tmp_path / "key.pem")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"tls_certificate": "a.pem"}, "tls_key"),
        ({"tls_certificate": "a.pem", "tls_key": "b.pem", "tls_self_signed": True}, "one of them"),
        ({"public_url": "192.168.1.20:8000"}, "public_url"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Settings.read(**settings)


@needs_zeroconf
def test_server_is_found_by_browsing(tmp_path: Path) -> None:
    from zeroconf import ServiceBrowser, Zeroconf

    found: Queue[str] = Queue()

    class Listener:
        def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            found.put(name)

        def update_service(self, zc: Zeroconf, type_: str, name: str) -> None: ...
        def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            found.put(f"gone: {name}")

    zeroconf = Zeroconf(interfaces=["127.0.0.1"])
    try:
        with serving_process(tmp_path, "--mdns") as (url, said):
            ServiceBrowser(zeroconf, SERVICE, Listener())  # type: ignore[arg-type]  # has the methods of its class
            name = found.get(timeout=20)
            info = zeroconf.get_service_info(SERVICE, name, 5000)
            assert info is not None
            host, port = info.parsed_addresses()[0], info.port
            assert f"http://{host}:{port}/" == url
            assert info.properties[b"api"] == b"/v1/tts"
            assert httpx.get(f"http://{host}:{port}/health").json()["status"] == "ok"
            assert any(name.removesuffix(".") in line for line in said)
        assert found.get(timeout=20) == f"gone: {name}"
    finally:
        zeroconf.close()


@needs_zeroconf
def test_two_servers_on_one_machine_have_two_names() -> None:
    with (
        advertise("127.0.0.1", 8001, tls=False) as first,
        advertise("127.0.0.1", 8002, tls=True) as second,
    ):
        assert first != second


def test_server_on_a_loopback_address_is_nowhere_else() -> None:
    assert network_url("127.0.0.1", 8000, tls=False) is None
    assert network_url("::1", 8000, tls=False) is None
    assert network_url("localhost", 8000, tls=False) is None
    assert network_url("192.168.1.20", 8000, tls=True) == "https://192.168.1.20:8000/"
    assert network_url("fd00::7", 8000, tls=False) == "http://[fd00::7]:8000/"


def test_own_names_are_those_that_clients_use() -> None:
    names = own_names("192.168.1.20")
    assert {"localhost", "127.0.0.1", "::1", socket.gethostname().lower(), "192.168.1.20"} <= set(
        names
    )
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (Settings(host="127.0.0.1"), None),
        (Settings(host="192.168.1.20", port=8000), "http://192.168.1.20:8000/"),
        (
            Settings(host="127.0.0.1", public_url="https://voice.example/a"),
            "https://voice.example/a",
        ),
    ],
)
async def test_page_says_where_else_it_opens(settings: Settings, shown: str | None) -> None:
    async with app_client(create_app(settings, tone_pool())) as client:
        page = (await client.get("/")).text
    assert ("Open on another device" in page) is (shown is not None)
    assert shown is None or f"<figcaption>{shown}</figcaption>" in page
    assert "<!--" not in page


def test_announcement_needs_an_address() -> None:
    with pytest.raises(SettingsError, match="'nowhere'"), advertise("nowhere", 8000, tls=False):
        pass
