"""``.meta`` files."""

from __future__ import annotations

import json

import pytest

from aiocopick.errors import FormatError
from aiocopick.formats.meta import decode_meta, encode_meta


@pytest.mark.parametrize("data", [None, b"", b"meta", b" meta\n", b"\n"])
def test_no_metadata(data: bytes | None) -> None:
    assert decode_meta(data, path="p") == {}


def test_unknown_keys_are_kept() -> None:
    meta = {"name": "TS_1", "tilt": {"axis": 84.5, "angles": [1, 2]}, "note": None}
    assert decode_meta(encode_meta(meta), path="p") == meta


def test_a_byte_order_mark_is_no_content() -> None:
    assert decode_meta(b'\xef\xbb\xbf{"name": "a"}', path="p") == {"name": "a"}


@pytest.mark.parametrize("data", [b"{", b"[]", b"3", b"null", b'"meta"', b"metal", b"\xff", b"[" * 10**6, b"{'a': 1}"])
def test_what_is_no_metadata(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"a/\.meta") as caught:
        decode_meta(data, path="a/.meta")
    assert caught.value.path == "a/.meta"


@pytest.mark.parametrize("data", [b'{"a":"\\ud800","\\uDC80":[NaN,"x"]}', b'{"a":"b\\udcffc"}'])
def test_half_a_character_is_kept_as_python_keeps_it(data: bytes) -> None:
    meta = decode_meta(data, path="x")
    assert repr(meta) == repr(json.loads(data))
    assert repr(decode_meta(encode_meta(meta), path="x")) == repr(meta)
    with pytest.raises(FormatError, match="not valid JSON"):
        decode_meta(data[:-1], path="x")


def test_what_would_be_refused_is_not_written() -> None:
    with pytest.raises(FormatError, match="brackets"):
        encode_meta({"notes": [{"id": 1}] * 100_000})
    kept = {"notes": [{"id": 1, "text": "a note of some length, as people write them, about one place each"}] * 10_000}
    assert decode_meta(encode_meta(kept), path="TS_1/.meta") == kept
