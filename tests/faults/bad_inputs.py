"""Requests that no client should send, byte for byte, each with the answer that the tone model's
server owes it.

They are data for the trial `fuzz` of `benchmarks/endurance.py`; nothing here opens a connection.
"""

import base64
import gzip
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass

NATIVE = "/v1/tts/synthesize"
OPENAI = "/v1/audio/speech"


@dataclass(frozen=True, slots=True)
class BadInput:
    """Bytes to send over a connection of their own, the status of the one answer, and a word that
    it must hold.

    Status 0 is a connection that is closed without one. After the bytes nothing more is sent, also
    no end, unless `hangs_up`: then the client has said that nothing will come.
    """

    name: str
    request: bytes
    status: int
    word: str = ""
    hangs_up: bool = False


def _request(
    method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """A request that is right by HTTP, for one answer."""
    given = {
        "Host": "localhost", "Connection": "close", "Content-Type": "application/json",
        "Content-Length": str(len(body)), **(headers or {}),
    }  # fmt: skip
    lines = [
        f"{method} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in given.items() if value != "-"),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8") + body


def _post(body: bytes | str, path: str = NATIVE, **headers: str) -> bytes:
    sent = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    return _request(
        "POST", path, sent, {name.replace("_", "-"): value for name, value in headers.items()}
    )


def _native(**fields: object) -> bytes:
    return _post(json.dumps({"text": "Hello.", **fields}))


def _openai(**fields: object) -> bytes:
    return _post(json.dumps({"input": "Hello.", "voice": "sine", **fields}), OPENAI)


_PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'


def _upload(form: bytes) -> bytes:
    return _post(form, "/v1/audio/voices", Content_Type="multipart/form-data; boundary=x")


def _recording(data: bytes) -> bytes:
    return _native(ref_audio=base64.b64encode(data).decode("ascii"))


def _wav(
    *,
    rate_hz: int = 24_000,
    channels: int = 1,
    bits: int = 16,
    claims: int = 4,
    data: bytes = b"\0" * 4,
) -> bytes:
    frame = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", 1, channels, rate_hz, rate_hz * frame % 2**32, frame % 2**16, bits
    )
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16)
    return head + form + b"data" + struct.pack("<I", claims) + data


def _form(boundary: str) -> bytes:
    body = b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nHello.\r\n--x--\r\n'
    return _post(body, Content_Type=f"multipart/form-data{boundary}")


_DEEP = "[" * 100_000 + "]" * 100_000
_UNKNOWN = "{" + ",".join(f'"k{number:07d}":1' for number in range(920_000)) + "}"
_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "x",
    "Sec-WebSocket-Version": "1",
}
_SECOND = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _plain(lines: str) -> bytes:
    return f"GET /health HTTP/1.1\r\nConnection: close\r\n{lines}\r\n".encode("ascii")


def _framed(lines: str, body: bytes) -> bytes:
    """A request that says itself where it ends."""
    head = f"POST {NATIVE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += "Content-Type: application/json\r\n"
    return f"{head}{lines}\r\n".encode("ascii") + body


_CHUNKED = "Transfer-Encoding: chunked\r\n"
_END = b"0\r\n\r\n" + _SECOND

JSON = (
    BadInput("empty body", _post(b""), 422, "object"),
    BadInput("half an object", _post('{"text": "Hel'), 400, "JSON"),
    BadInput("a list", _post("[1, 2]"), 422, "object"),
    BadInput("a string", _post('"Hello."'), 422, "object"),
    BadInput("null", _post("null"), 422, "object"),
    BadInput("deep lists", _post(_DEEP), 422, "10,000"),
    BadInput("deep lists in a field", _post('{"text": ' + _DEEP + "}"), 422, "10,000"),
    BadInput("deep objects", _post('{"a":' * 50_000 + "1" + "}" * 50_000), 422, "10,000"),
    BadInput("less deep lists", _post("[" * 5_000 + "]" * 5_000), 400, "JSON"),
    BadInput("12 MB of unknown fields", _post(_UNKNOWN), 413, "2,000,000"),
    BadInput("OpenAI: 12 MB of unknown fields", _post(_UNKNOWN, OPENAI), 413, "2,000,000"),
    BadInput("1.9 MB of unknown fields", _post(_UNKNOWN[:1_900_000]), 422, "10,000"),
    BadInput("1.9 MB of empty lists", _post("[" + "[]," * 630_000 + "1]"), 422, "10,000"),
    BadInput("quotes that end nothing", _post('\\"' * 900_000), 400, "JSON"),
    BadInput("the same key twice", _post('{"text": "Hello.", "text": 5}'), 422, "text"),
    BadInput(
        "a field twice, once unknown", _post('{"text": "Hello.", "txt": "Hello."}'), 422, "txt"
    ),
    BadInput("bytes that are no UTF-8", _post(b'{"text": "\xff\xfe\xfd"}'), 400, "JSON"),
    BadInput("UTF-16", _post('{"text": "Hello."}'.encode("utf-16")), 200),
    BadInput("a gzipped body", _post(gzip.compress(b" " * 2**22), Content_Encoding="gzip"), 400),
)

VALUES = (
    BadInput("text of the wrong type", _native(text=5), 422, "text"),
    BadInput("text is null", _native(text=None), 422, "text"),
    BadInput("text is an object", _native(text={"a": 1}), 422, "text"),
    BadInput("no text", _post("{}"), 422, "text"),
    BadInput("empty text", _native(text=""), 422, "spoken"),
    BadInput("blank text", _native(text=" \t\r\n\u00a0\u3000"), 422, "spoken"),
    BadInput("NULs alone", _native(text="\0" * 1000), 422, "spoken"),
    BadInput(
        "control characters alone", _native(text="".join(map(chr, range(1, 32)))), 422, "spoken"
    ),
    BadInput("bidi controls alone", _native(text="\u202e\u2066\u2069\u200f" * 100), 422, "spoken"),
    BadInput(
        "zero-width characters alone", _native(text="\u200b\u200d\ufeff" * 100), 422, "spoken"
    ),
    BadInput("a lone surrogate, escaped", _post('{"text": "\\ud800"}'), 422, "text"),
    BadInput("a lone surrogate, in bytes", _post('{"text": "\ud800"}'), 422, "text"),
    BadInput("a megabyte of emoji", _post('{"text": "' + "😀" * 262_144 + '"}'), 422, "100,000"),
    BadInput(
        "a combining mark 100,001 times", _native(text="a" + "\u0301" * 100_000), 422, "100,000"
    ),
    BadInput("speed NaN", _post('{"text": "Hello.", "speed": NaN}'), 422, "speed"),
    BadInput("speed Infinity", _post('{"text": "Hello.", "speed": Infinity}'), 422, "speed"),
    BadInput("speed 1e999", _post('{"text": "Hello.", "speed": 1e999}'), 422, "speed"),
    BadInput("speed 0", _native(speed=0), 422, "speed"),
    BadInput("speed is true", _native(speed=True), 422, "number"),
    BadInput(
        "seed of a thousand digits",
        _post('{"text": "Hello.", "seed": ' + "9" * 1000 + "}"),
        422,
        "seed",
    ),
    BadInput(
        "seed of 10,000 digits",
        _post('{"text": "Hello.", "seed": ' + "9" * 10_000 + "}"),
        400,
        "JSON",
    ),
    BadInput("negative seed", _native(seed=-1), 422, "seed"),
    BadInput("absurd sample rate", _native(sample_rate=2**31), 422, "sample_rate"),
    BadInput(
        "sample rate that a format lacks",
        _native(sample_rate=8001, format="mp3"),
        422,
        "sample_rate",
    ),
    BadInput("unknown format", _native(format="exe"), 422, "format"),
    BadInput("unknown field", _native(loudness=11), 422, "loudness"),
    BadInput("unknown model", _native(model="../../../etc/passwd"), 404, "passwd"),
    BadInput("speaker with a NUL", _native(speaker="sine\0"), 404, "speaker"),
    BadInput("speaker of 10,000 letters", _native(speaker="a" * 10_000), 422, "speaker"),
    BadInput("language that is none", _native(language="'; DROP TABLE voices; --"), 422, "DROP"),
    BadInput("instruct of 7 MB", _native(instruct="a " * 3_500_000), 413, "2,000,000"),
    BadInput("instruct of 2,001 letters", _native(instruct="a" * 2_001), 422, "2,000"),
    BadInput("ref_text of a megabyte", _native(ref_text="a" * 2**20), 422, "5,000"),
    BadInput("format of a megabyte", _native(format="a" * 2**20), 422, "format"),
    BadInput("no time at all", _native(timeout_s=0), 422, "timeout_s"),
    BadInput("tokens without end", _native(max_new_tokens=10**18), 422, "max_new_tokens"),
    BadInput("OpenAI: no input", _post("{}", OPENAI), 400, "input"),
    BadInput("OpenAI: voice is a list", _openai(voice=["sine"]), 400, "voice"),
    BadInput("OpenAI: unknown stream format", _openai(stream_format="smoke"), 400, "stream_format"),
)

UPLOADS = (
    BadInput("recording that is no base64", _native(ref_audio="@@@@"), 422, "base64"),
    BadInput("recording of no bytes", _native(ref_audio=""), 422, "empty"),
    BadInput(
        "recording at an address", _native(ref_audio="http://127.0.0.1:1/a.wav"), 422, "fetched"
    ),
    BadInput("recording in a file", _native(ref_audio="file:///etc/passwd"), 422, "fetched"),
    BadInput("WAV of no samples", _recording(_wav(claims=0, data=b"")), 422, "ref_audio"),
    BadInput("WAV that claims 4 GiB", _recording(_wav(claims=2**32 - 1)), 422, "ref_audio"),
    BadInput(
        "WAV at 4 billion samples a second",
        _recording(_wav(rate_hz=2**32 - 1, data=b"\1" * 96_000)),
        422,
        "ref_audio",
    ),
    BadInput(
        "WAV at 0 samples a second",
        _recording(_wav(rate_hz=0, data=b"\1" * 96_000)),
        422,
        "ref_audio",
    ),
    BadInput(
        "WAV of 65,535 channels",
        _recording(_wav(channels=65_535, data=b"\1" * 96_000)),
        422,
        "ref_audio",
    ),
    BadInput("WAV of 0 bits", _recording(_wav(bits=0, data=b"\1" * 96_000)), 422, "ref_audio"),
    BadInput("recording of random bytes", _recording(bytes(range(256)) * 100), 422, "ref_audio"),
    BadInput(
        "playlist that names a file",
        _recording(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        422,
        "ref_audio",
    ),
    BadInput("upload whose form breaks off", _upload(b"--x\r\nContent-Dis"), 400, "breaks off"),
    BadInput("upload of a hundred parts", _upload(_PART * 100 + b"--x--"), 400, "64"),
    BadInput("upload of a part without a head", _upload(b"--x\r\n\r\n\r\n--x--"), 400, "head"),
    BadInput("upload without fields", _upload(b"--x--"), 400, "name"),
    BadInput("upload that is nothing", _upload(b""), 400, "breaks off"),
)

HTTP = (
    BadInput(
        "form", _post(b"text=Hello.", Content_Type="application/x-www-form-urlencoded"), 422, "JSON"
    ),
    BadInput("plain text", _post(b"Hello.", Content_Type="text/plain"), 422, "JSON"),
    BadInput("form in parts", _form("; boundary=x"), 422, "JSON"),
    BadInput("form in parts without a boundary", _form(""), 422, "JSON"),
    BadInput(
        "a type that is none", _post('{"text": "Hello."}', Content_Type="////;;;"), 422, "JSON"
    ),
    BadInput("method that is none", _request("BREW", NATIVE), 405, "BREW"),
    BadInput("DELETE", _request("DELETE", NATIVE), 405, "DELETE"),
    BadInput("TRACE", _request("TRACE", NATIVE), 405, "TRACE"),
    BadInput("CONNECT", _request("CONNECT", "127.0.0.1:1"), 404),
    BadInput("another server's address", _request("GET", "http://127.0.0.1:1/health"), 200),
    BadInput("path out of the folder", _request("GET", "/web/../../../../etc/passwd"), 404),
    BadInput(
        "path out of the folder, encoded",
        _request("GET", "/web/%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
        404,
    ),
    BadInput(
        "path out of the folder, with backslashes",
        _request("GET", "/web/..%5c..%5csettings.py"),
        404,
    ),
    BadInput("path with a NUL", _request("GET", "/web/index.html%00.js"), 404),
    BadInput("path of 10,000 letters", _request("GET", "/web/" + "a" * 10_000), 404),
    BadInput("path with bad escapes", _request("GET", "/v1/models/%zz%ff%fe"), 404),
    BadInput("model of many slashes", _request("GET", "/v1/models/" + "%2f" * 1000), 307),
    BadInput("query without text", _request("GET", NATIVE), 422, "text"),
    BadInput(
        "query of a field twice", _request("GET", f"{NATIVE}?text=a&seed=1&seed=x"), 422, "seed"
    ),
    BadInput(
        "range that no answer has",
        _request("GET", "/web/index.html", headers={"Range": "bytes=9999999-"}),
        416,
    ),
    BadInput(
        "ranges without end",
        _request("GET", "/web/app.js", headers={"Range": "bytes=" + "0-1," * 3500}),
        200,
    ),
    BadInput(
        "range that is none", _request("GET", "/web/index.html", headers={"Range": "bytes=z-"}), 400
    ),
    BadInput(
        "header of a megabyte", _request("GET", "/health", headers={"X-Long": "a" * 2**20}), 431
    ),
    BadInput(
        "100,000 headers",
        _request("GET", "/health", headers={f"X-{i}": "a" for i in range(100_000)}),
        431,
    ),
    BadInput("header with a NUL", _request("GET", "/health", headers={"X-Nul": "a\0b"}), 400),
    BadInput("header that goes on", _plain("Host: localhost\r\nX-A: b\r\n c\r\n : d\r\n"), 200),
    BadInput("no host", _plain(""), 400),
    BadInput("two hosts", _plain("Host: localhost\r\nHost: y\r\n"), 400),
    BadInput("HTTP/9.9", _plain("Host: localhost\r\n").replace(b"1.1", b"9.9"), 200),
    BadInput(
        "no HTTP at all",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100 + b"\r\n\r\n",
        400,
    ),
    BadInput("a length that is none", _post("{}", Content_Length="two"), 400),
    BadInput("a negative length", _post("{}", Content_Length="-2"), 400),
    BadInput("a length of many digits", _post("{}", Content_Length="9" * 30), 400),
    BadInput(
        "a length above the limit", _post("{}", Content_Length="99999999999"), 413, "16,777,216"
    ),
    BadInput("two lengths", _framed("Content-Length: 2\r\nContent-Length: 3\r\n", b"{} "), 400),
    BadInput("length and chunks", _framed(f"Content-Length: 6\r\n{_CHUNKED}", _END), 400, "both"),
    BadInput("chunks and length", _framed(f"{_CHUNKED}Content-Length: 6\r\n", _END), 400, "both"),
    BadInput("chunks by another name", _framed("Transfer-Encoding: xchunked\r\n", _END), 501),
    BadInput("a chunk of no size", _framed(_CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n"), 400),
    BadInput("a chunk of more than there can be", _framed(_CHUNKED, b"f" * 17 + b"\r\n{}"), 408),
    BadInput("a request behind a wrong one", b"GET  /x HTTP/1.1\r\n\r\n" + _SECOND, 400),
    BadInput("upload that stops", _post('{"text": "Hel', Content_Length="1000"), 408),
    BadInput(
        "upload that ends early", _post('{"text": "Hel', Content_Length="1000"), 0, hangs_up=True
    ),
    BadInput("chunks that end early", _framed(_CHUNKED, b'8\r\n{"text":\r\n'), 0, hangs_up=True),
    BadInput("upgrade to what is not spoken", _request("GET", "/health", headers=_UPGRADE), 400),
)

BAD_INPUTS = (*JSON, *VALUES, *UPLOADS, *HTTP)
