"""Check that forms in parts are read as clients write them, and that no bytes break the reading."""

import io
import time
from contextlib import suppress
from itertools import pairwise

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.api.routes.forms import MAX_PARTS, FormReader, is_form, read_form
from vivavoce.errors import BadRequest

TYPE = "multipart/form-data; boundary=b"
PIECES = [
    b"--b", b"--b--", b"\r\n", b"\r\n\r\n", b"--bx", b"x", b"\xff\0", b"\xed\xa0\x80", b'"', b";",
    b"Content-Disposition: form-data; name=x", b'Content-Disposition: form-data; name="x"',
    b"Content-Disposition: form-data; name*0*=x'y; name*99999999999999999999=z",
    b"Content-Disposition: form-data; name=a; filename*=none''%ff", b"; name*=x''y; name*0=z",
    b"Content-Type: text/plain",
]  # fmt: skip


def test_form_has_what_httpx_sends() -> None:
    files = [("files", ("a.wav", b"\r\n--b\r\n")), ("files", ("b.wav", b"")), ("name", (None, "ä"))]
    request = httpx.Request("POST", "http://host", data={"labels": '{"a": 1}'}, files=files)
    content_type = request.headers["content-type"]
    assert is_form(content_type)
    assert read_form(request.read(), content_type) == {
        "labels": '{"a": 1}',
        "files": [b"\r\n--b\r\n", b""],
        "name": "ä",
    }


def test_form_may_begin_with_a_preamble_and_end_with_more() -> None:
    data = b'before\r\n--b \r\ncontent-disposition:form-data;name="x"\r\n\r\ny\r\n--b--\r\nafter'
    assert read_form(data, 'Multipart/Form-Data; charset=utf-8; boundary="b"') == {"x": "y"}


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=12))
def test_bytes_are_a_form_or_refused(pieces: list[bytes]) -> None:
    with suppress(BadRequest):
        assert all(read_form(b"".join(pieces), TYPE))


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=12),
    st.lists(st.integers(0, 99)),
)
def test_form_in_pieces_is_the_form_as_a_whole(pieces: list[bytes], cuts: list[int]) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="x"; filename="y"\r\n\r\n'
    data = head + b"".join(pieces) + b"\r\n--b--"
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})

    def parts(*sent: bytes) -> list[tuple[str, str | None, bytes]] | str:
        reader = FormReader(TYPE)
        try:
            for one in sent:
                reader.feed(one)
            return [(one.name, one.file_name, one.content.read()) for one in reader.finish()]
        except BadRequest as error:
            return error.message

    in_pieces = (data[start:end] for start, end in pairwise(places))
    assert parts(*in_pieces) == parts(data)


@pytest.mark.parametrize(
    "parameters", ["name*0=x; name*=utf-8''x", "name=x; filename*=''y; filename*0=y"]
)
def test_head_with_a_parameter_in_two_forms_is_refused(parameters: str) -> None:
    data = f"--b\r\nContent-Disposition: form-data; {parameters}\r\n\r\ny\r\n--b--"
    with pytest.raises(BadRequest, match="a head that cannot be read"):
        read_form(data.encode(), TYPE)


def test_boundary_in_two_forms_is_refused() -> None:
    with pytest.raises(BadRequest, match="without a boundary of ASCII"):
        read_form(b"--b--", "multipart/form-data; boundary*0=b; boundary*=utf-8''b")


def test_files_go_where_they_are_to_be_and_are_closed() -> None:
    opened = list[io.BytesIO]()

    def file() -> io.BytesIO:
        opened.append(io.BytesIO())
        return opened[-1]

    head = b'--b\r\nContent-Disposition: form-data; name="x"; filename="y"\r\n\r\n'
    reader = FormReader(TYPE, file, max_value_bytes=4)
    reader.feed(head + b"12345")
    assert opened[0].getvalue()[:1] == b"1"
    with pytest.raises(BadRequest, match="'v' has more than 4 bytes"):
        reader.feed(b'\r\n--b\r\nContent-Disposition: form-data; name="v"\r\n\r\n12345\r\n--b--')
    reader.close()
    assert opened[0].closed


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=40))
def test_content_type_is_taken_or_refused(rest: str) -> None:
    with suppress(BadRequest):
        assert read_form(b"--b--", f"multipart/form-data; boundary{rest}") == {}


@pytest.mark.parametrize("piece", [b"\r\n--b", b"\r\n--", b"\r\n\r\n", b"-", b"--b\r\n", b"\0"])
def test_16_mib_are_read_in_linear_time(piece: bytes) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="x"; filename="y"\r\n\r\n'
    data = head + piece * (2**24 // len(piece))
    began_s = time.process_time()
    with pytest.raises(BadRequest, match=r"breaks off|parts|head"):
        read_form(data, TYPE)
    assert time.process_time() - began_s < 2


def test_form_has_at_most_so_many_parts() -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n'
    assert len(read_form(part * MAX_PARTS + b"--b--", TYPE)["x"]) == MAX_PARTS
    with pytest.raises(BadRequest, match="more than 64 parts"):
        read_form(part * (MAX_PARTS + 1) + b"--b--", TYPE)
