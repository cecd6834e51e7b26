"""Listings that are read by an expression are read as botocore's parser reads them, or left to it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

import pytest
import pytest_asyncio
from botocore.handlers import decode_list_object_v2
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import ResponseParserError, create_parser
from hypothesis import given, settings, strategies as st

from aiocopick.storage import Storage, open_storage
from aiocopick.storage.backends import s3_answers
from aiocopick.storage.backends.object_stores import Listing, Objects
from aiocopick.storage.backends.s3_listing import read_listing
from aiocopick.storage.settings import Settings
from aiocopick.testing import Answer, FaultServer
from tests.servers.s3 import S3Server

SHAPE = ServiceModel(Loader().load_service_model("s3", "service-2")).operation_model("ListObjectsV2").output_shape


def _listing(objects: list[Any], prefixes: list[str], token: str | None) -> Listing:
    names, sizes, etags, times = ([item[column] for item in objects] for column in range(4))
    return Listing(Objects(names, sizes, etags, times), prefixes, token)


def read_by_botocore(body: bytes) -> Listing:
    """The same, by the parser whose place it takes."""
    parsed = create_parser("rest-xml").parse({"status_code": 200, "headers": {}, "body": body}, SHAPE)
    decode_list_object_v2(parsed, {"encoding_type_auto_set": True})
    objects = [
        (
            item["Key"],
            item.get("Size"),
            item["ETag"].strip('"') if "ETag" in item else None,
            item["LastModified"].timestamp() if "LastModified" in item else None,
        )
        for item in parsed.get("Contents", ())
    ]
    prefixes = [item["Prefix"] for item in parsed.get("CommonPrefixes", ())]
    return _listing(objects, prefixes, parsed.get("NextContinuationToken", "") if parsed.get("IsTruncated") else None)


def same(body: bytes) -> Listing | None:
    """What the expression reads; it must be what botocore reads, or nothing."""
    found = read_listing(body)
    if found is not None:
        assert found == read_by_botocore(body)
    return found


SPACE = st.sampled_from(["", "", "\n  "])
NAME = st.text(
    st.sampled_from("aé /%+&<>'\"\U0001f600~._-") | st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1
)
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(lambda moment: f"{moment.isoformat()}Z")


def element(name: str, value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return value.map(lambda text: f"<{name}>{text}</{name}>")


ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
TEXT = NAME.map(escape) | NAME.map(lambda name: "".join(f"&#{ord(c)};" if c in "&<>'\"" else c for c in name))
ETAGS = st.sampled_from(['"abc-2"', "&quot;abc&quot;", "&#34;abc&#34;", "abc", '""', "&apos;a&apos;"])
PARTS = st.fixed_dictionaries(
    {"Key": element("Key", TEXT)},
    optional={
        "Size": element("Size", st.integers(0, 2**50).map(str)),
        "LastModified": element("LastModified", MOMENTS | st.sampled_from(["1893456000", "2030-01-01T02:00:00+02:00"])),
        "ETag": element("ETag", ETAGS),
        "StorageClass": st.sampled_from(["<StorageClass>STANDARD</StorageClass>", "<StorageClass/>"]),
        "Owner": st.sampled_from(["<Owner><ID>a</ID><DisplayName>b</DisplayName></Owner>", "<Owner></Owner>"]),
        "Type": st.just("<Type>Normal</Type>"),
        "Checksum": st.just("<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"),
        "Other": st.sampled_from(
            ["<UserMetadata><a>b</a></UserMetadata>", "<!-- -->", "<Size>1</Size>", "<Key>b</Key>"]
        ),
    },
)
AWS = ("Key", "LastModified", "ETag", "Checksum", "Size", "Owner", "StorageClass", "Type", "Other")
R2 = ("Key", "Size", "LastModified", "ETag", "StorageClass", "Owner", "Checksum", "Type", "Other")


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Listings as servers write them, and some that none would."""
    order, between = draw(st.sampled_from([AWS, R2])), draw(SPACE)
    body = [
        draw(st.sampled_from(["", '<?xml version="1.0" encoding="UTF-8"?>', '<?xml version="1.0"?>\n'])),
        "<ListBucketResult",
    ]
    body.append(draw(st.sampled_from([' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', "", ' xmlns:a="b"'])) + ">")
    head = {
        "Name": element("Name", st.just("bucket")),
        "Prefix": element("Prefix", TEXT) | st.just("<Prefix/>"),
        "EncodingType": st.just("<EncodingType>url</EncodingType>"),
        "IsTruncated": element("IsTruncated", st.sampled_from(["true", "false"])),
        "Token": element("NextContinuationToken", TEXT),
        "KeyCount": element("KeyCount", st.integers(0, 9).map(str)),
        "Strange": st.sampled_from(["<Strange>a</Strange>", "<IsTruncated>true</IsTruncated>", "text"]),
    }
    told = draw(st.fixed_dictionaries({}, optional=head))
    body += [told[name] + between for name in draw(st.permutations(list(told)))]
    for parts in draw(st.lists(PARTS, max_size=4)):
        body.append(
            f"<Contents>{between}{''.join(parts[name] + between for name in order if name in parts)}</Contents>{between}"
        )
    for prefix in draw(st.lists(TEXT, max_size=3)):
        body.append(f"<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>{between}")
    return "".join([*body, "</ListBucketResult>"]).encode()


@given(documents())
@settings(max_examples=300)
def test_documents_are_read_as_botocore_reads_them(body: bytes) -> None:
    same(body)


@given(documents(), st.data())
def test_damaged_documents_are_read_as_botocore_reads_them_or_not_at_all(body: bytes, data: st.DataObject) -> None:
    at, length = data.draw(st.integers(0, len(body))), data.draw(st.integers(0, 12))
    damaged = body[:at] + data.draw(
        st.sampled_from([b"", b"<", b"&", b"&#0;", b"</Key>", b"\x00", b"\xff", b"]]>", b"\r"])
    )
    damaged += body[at + length :]
    try:
        wanted = read_by_botocore(damaged)
    except (ResponseParserError, KeyError, ValueError, AttributeError, TypeError):
        wanted = None
    found = read_listing(damaged)
    assert found is None or found == wanted


def page(objects: str = "", **told: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{''.join(f'<{name}>{text}</{name}>' for name, text in told.items())}{objects}</ListBucketResult>"
    ).encode()


SERVERS = {
    "aws": "<Contents><Key>a+b%2Fc%26</Key><LastModified>2024-05-01T12:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag>"
    "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>3</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents>",
    "ceph": "<Contents><Key>a+b%2Fc%26</Key><LastModified>2024-05-01T12:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag>"
    "<Size>3</Size><StorageClass>STANDARD</StorageClass><Owner><ID>u</ID><DisplayName>n</DisplayName></Owner>"
    "<Type>Normal</Type></Contents>",
    "minio": "<Contents><Key>a+b%2Fc%26</Key><LastModified>2024-05-01T12:00:00.000Z</LastModified><ETag>&#34;e&#34;</ETag>"
    "<Size>3</Size><Owner><ID></ID><DisplayName></DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>",
    "r2": '<Contents><Key>a+b%2Fc%26</Key><Size>3</Size><LastModified>2024-05-01T12:00:00.000Z</LastModified><ETag>"e"</ETag>'
    "<StorageClass>STANDARD</StorageClass></Contents>",
    "gcs": "<Contents><Key>a+b%2Fc%26</Key><Generation>1</Generation><MetaGeneration>1</MetaGeneration>"
    "<LastModified>2024-05-01T12:00:00.000Z</LastModified><ETag>\"e\"</ETag><Size>3</Size></Contents>",
}  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
def test_answers_of_the_common_servers_are_read_here(server: str) -> None:
    common = "<CommonPrefixes><Prefix>d%C3%BC/</Prefix></CommonPrefixes>"
    body = page(SERVERS[server] + common, EncodingType="url", IsTruncated="true", NextContinuationToken="t&amp;")
    assert same(body) == _listing([("a b/c&", 3, "e", 1714564800.0)], ["dü/"], "t&")


def test_what_the_expression_does_not_know_takes_it_no_time() -> None:
    many = b"<Contents><Key>" * 20_000 + b"<Contents>" + b"<StorageClass>a</StorageClass>" * 20_000
    begun = time.process_time()
    assert read_listing(page()[:-19] + many + b"</ListBucketResult>") is None
    assert time.process_time() - begun < 5


@pytest_asyncio.fixture
async def opened(s3_server: S3Server) -> AsyncIterator[Storage]:
    bucket = s3_server.new_bucket()
    s3_server.seed(bucket, {f"p/d/{name}": b"1" for name in ("a b+c%&.json", "é~'\"<>", "v.zarr/0", "v.zarr/1", "w/x")})
    storage = open_storage(Settings(root=f"s3://{bucket}/p", fs_args=s3_server.fs_args()))
    yield storage
    await storage.aclose()


@pytest.mark.asyncio
async def test_botocore_lists_once_and_the_rest_is_the_same(
    opened: Storage, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiobotocore.client import AioBaseClient

    calls: list[str] = []
    call = AioBaseClient._make_api_call
    bodies: list[bytes] = []

    async def counted(self: Any, operation: str, arguments: Any) -> Any:
        calls.append(operation)
        return await call(self, operation, arguments)

    def watched(body: bytes) -> Listing | None:
        bodies.append(body)
        return same(body)

    monkeypatch.setattr(AioBaseClient, "_make_api_call", counted)
    monkeypatch.setattr(s3_answers, "read_listing", watched)
    with s3_server.counting() as counts:
        first = await opened.list("d")
        assert await opened.list("d") == first
        async with opened.scan("d") as pages:
            keys = [entry.key async for page in pages for entry in page]
        assert (await opened.stat("d/a b+c%&.json")).size == 1
    assert sorted(keys) == sorted(["d/a b+c%&.json", "d/v.zarr", "d/w/x", "d/é~'\"<>"])
    assert calls == ["ListObjectsV2"]
    assert len(bodies) == 3
    assert counts == {"ListObjectsV2": 4}


@pytest.mark.asyncio
async def test_what_is_not_read_here_is_left_to_botocore() -> None:
    async with FaultServer() as server:
        xml = {"content-type": "application/xml"}
        server.always(Answer(200, xml, page("<Contents><Key>p/d/a</Key></Contents>")))
        storage = open_storage(Settings(root="s3://bucket/p", fs_args=arguments(server.url), retries=0))
        assert [entry.key for entry in await storage.list("d")] == ["d/a"]
        server.always(Answer(200, xml, page("<Contents><Key>p/d/b</Key><!-- - --></Contents>")))
        assert [entry.key for entry in await storage.list("d")] == ["d/b"]
        assert [entry.key for entry in await storage.list("d")] == ["d/b"]
        await storage.aclose()
    # The one that could not be read was sent again, once.
    assert server.counts["GET"] == 4


def arguments(url: str) -> dict[str, Any]:
    return {"key": "a", "secret": "b", "client_kwargs": {"endpoint_url": url, "region_name": "us-east-1"}}
