"""Listings of Azure that are read by an expression are read as an XML parser reads them, or left to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from aiocopick.errors import StorageError
from aiocopick.storage import open_storage
from aiocopick.storage.backends import azure_listing
from aiocopick.storage.backends.azure_listing import read_listing
from aiocopick.storage.backends.object_stores import Listing
from aiocopick.storage.faults import AnswerError
from aiocopick.storage.settings import Settings
from aiocopick.testing import Answer, FaultServer
from tests.servers.azure import AzureServer
from tests.storage.test_s3_listing import SPACE, TEXT, element

READ = (azure_listing._expressed, azure_listing._parsed)


def columns(listing: Listing) -> Any:
    return [[*column] for column in listing.objects], listing.prefixes, listing.token


def by_expression(page: bytes) -> Any:
    """What the expression reads; None if it leaves it to the parser."""
    try:
        return columns(READ[0](azure_listing.text_of(page)))
    except azure_listing.UnknownError:
        return None


def by_parser(page: bytes) -> Any:
    return columns(READ[1](page, 200, {}))


MOMENTS = ["Mon, 27 Jan 2025 10:00:05 GMT", "Wed, 01 Jan 2020 23:59:59 GMT", "Sun, 29 Feb 2032 00:00:00 GMT"]
USUAL = {
    "Creation-Time": element("Creation-Time", st.sampled_from(MOMENTS)),
    "Last-Modified": element("Last-Modified", st.sampled_from(MOMENTS)),
    "Etag": element("Etag", st.sampled_from(["0x8DBB", '"0x8DBB"'])),
    "Content-Length": element("Content-Length", st.integers(0, 2**50).map(str)),
    "Content-Type": st.sampled_from(["<Content-Type>a/b</Content-Type>", "<Content-Type />", "<Content-Type/>"]),
    "BlobType": st.sampled_from(["", "<BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier>"]),
}
STRANGE = USUAL | {
    "Last-Modified": element("Last-Modified", st.sampled_from(["Mon, 27 Jan 2025 10:00:05 +0100", "27 Jan 25 10:00"])),
    "Etag": element("Etag", st.sampled_from(["&quot;a&quot;", ""])),
    "Content-Length": st.sampled_from(["<Content-Length />", "<Content-Length>1</Content-Length>"]),
    "Other": st.sampled_from(["<New-Property>a</New-Property>", "<!-- -->", "<Etag>b</Etag>", "text"]),
}
METADATA = ["", "<Metadata />", "<OrMetadata />", "<Metadata><mtime>1</mtime></Metadata><OrMetadata/>"]
STRANGE_METADATA = [
    "<Metadata><mtime>1</Metadata>", "<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>",
    "<Metadata><own>b</own></Metadata><OrMetadata />",
]  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Listings as the service writes them, and some that it would not."""
    strange = draw(st.sampled_from([False, False, True]))
    body = [draw(st.sampled_from(["", "\ufeff", '<?xml version="1.0" encoding="utf-8"?>', '<?xml version="1.0"?>\n']))]
    told = draw(st.sampled_from(["", ' ServiceEndpoint="https://a/" ContainerName="c"', *[' Other="b"'] * strange]))
    body.append(f"<EnumerationResults{told}>")
    head = ["", "<Prefix>a/</Prefix><Marker/><Delimiter>/</Delimiter>", *["<New>a</New>"] * strange]
    body.append(draw(st.sampled_from(head)) + "<Blobs>")
    names = element("Name", TEXT) | st.just('<Name Encoded="true">a%20b</Name>') if strange else element("Name", TEXT)
    for _ in range(draw(st.integers(0, 4))):
        name = draw(names)
        if draw(st.booleans()):
            body.append(f"<BlobPrefix>{name}{draw(st.sampled_from(['', '<Properties></Properties>']))}</BlobPrefix>")
            continue
        optional = draw(st.fixed_dictionaries({}, optional=STRANGE) if strange else st.fixed_dictionaries(USUAL))
        order = draw(st.permutations(list(optional))) if strange else list(USUAL)
        properties = (draw(SPACE) if strange else "").join(optional[each] for each in order)
        metadata = draw(st.sampled_from(METADATA + STRANGE_METADATA * strange))
        body.append(f"<Blob>{name}<Properties>{properties}</Properties>{metadata}</Blob>")
    marker = draw(st.sampled_from(["<NextMarker />", "<NextMarker>a&amp;b!</NextMarker>", *[""] * strange]))
    return "".join([*body, f"</Blobs>{marker}</EnumerationResults>"]).encode()


@given(documents())
def test_documents_are_read_as_a_parser_reads_them(page: bytes) -> None:
    found = by_expression(page)
    try:
        wanted = by_parser(page)
    except AnswerError:
        wanted = None
    assert found is None or found == wanted


@given(documents(), st.data())
def test_damaged_documents_are_read_as_a_parser_reads_them_or_not_at_all(page: bytes, data: st.DataObject) -> None:
    at, length = data.draw(st.integers(0, len(page))), data.draw(st.integers(0, 12))
    inserted = data.draw(st.sampled_from([b"", b"<", b"&", b"&#0;", b"</Name>", b"\x00", b"\xff", b"]]>", b"\r"]))
    damaged = page[:at] + inserted + page[at + length :]
    try:
        wanted = by_parser(damaged)
    except AnswerError:
        wanted = None
    found = by_expression(damaged)
    assert found is None or found == wanted


ACCOUNT = (
    "<Blob><Name>p/a&amp;b</Name><Properties><Creation-Time>Mon, 27 Jan 2025 10:00:05 GMT</Creation-Time><Last-Modified>"
    "Mon, 27 Jan 2025 10:00:06 GMT</Last-Modified><Etag>0x8DD3EB7F2A1C0F5</Etag><Content-Length>12</Content-Length>"
    "<Content-Type>application/octet-stream</Content-Type><Content-Encoding /><Content-Language /><Content-CRC64 />"
    "<Content-MD5>sQqNsWTgdUEFt6mb5y4/5Q==</Content-MD5><Cache-Control /><Content-Disposition /><BlobType>BlockBlob"
    "</BlobType><AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked"
    "</LeaseStatus><LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties><OrMetadata />"
    "</Blob>"
)


def page_of(blobs: str, marker: str = "<NextMarker />") -> bytes:
    return (
        '\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://a.blob.core.windows.net/" '
        f'ContainerName="c"><Prefix>p/</Prefix><MaxResults>5000</MaxResults><Blobs>{blobs}</Blobs>{marker}'
        "</EnumerationResults>"
    ).encode()


def test_answers_of_an_account_are_read_here() -> None:
    page = page_of(f"{ACCOUNT}<BlobPrefix><Name>p/d/</Name></BlobPrefix>", "<NextMarker>2!76!MDAw</NextMarker>")
    objects = [["p/a&b"], [12], ["0x8DD3EB7F2A1C0F5"], [1737972006.0]]
    assert by_expression(page) == by_parser(page) == (objects, ["p/d/"], "2!76!MDAw")
    assert by_expression(page_of("")) == by_parser(page_of("")) == ([[], [], [], []], [], None)


@pytest.mark.parametrize(
    "other",
    ["Mon, 27 Jan 2025 10:00:60 GMT", "Mon, 27 Foo 2025 10:00:06 GMT", "Mon, 99 Jan 2025 10:00:06 GMT", "yesterday"],
)
def test_a_moment_that_there_is_not_is_no_moment(other: str) -> None:
    page = page_of(ACCOUNT.replace("Mon, 27 Jan 2025 10:00:06 GMT", other))
    assert by_expression(page) is None
    with pytest.raises(AnswerError, match="names no blobs"):
        read_listing(page, 200, {})


@pytest.mark.asyncio
async def test_answers_of_a_server_are_read_here(azure_server: AzureServer, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = azure_server.new_bucket("listed")
    azure_server.seed(bucket, {f"p/d/{name}": b"1" for name in ("a b+c%&.json", "é~'\"<>", "v.zarr/0", "w/x")})
    storage = open_storage(Settings(root=f"az://{bucket}/p", fs_args=azure_server.fs_args()))
    await storage.write("d/new", b"1")
    pages: list[str] = []

    def watched(text: str) -> Listing:
        pages.append(text)
        return READ[0](text)

    monkeypatch.setattr(azure_listing, "_expressed", watched)
    monkeypatch.delattr(azure_listing, "_parsed")
    listed = await storage.list("d")
    assert {entry.key for entry in listed} == {"d/a b+c%&.json", "d/é~'\"<>", "d/v.zarr", "d/w", "d/new"}
    assert [entry.size for entry in listed if entry.key == "d/new"] == [1]
    async with storage.scan("d") as found:
        keys = [entry.key async for page in found for entry in page]
    await storage.aclose()
    assert sorted(keys) == sorted(["d/a b+c%&.json", "d/v.zarr", "d/w/x", "d/new", "d/é~'\"<>"])
    assert len(pages) >= 2
    for text in pages:
        assert by_expression(text.encode()) == by_parser(text.encode())


@pytest.mark.asyncio
async def test_what_is_no_listing_is_an_error() -> None:
    async with FaultServer() as server:
        arguments = {"connection_string": f"AccountName=a;AccountKey=YQ==;BlobEndpoint={server.url}/a;"}
        storage = open_storage(Settings(root="az://container/p", fs_args=arguments, retries=0))
        xml = {"content-type": "application/xml"}
        for body in (b"<EnumerationResults><Blobs><Blob/></Blobs></EnumerationResults>", b"<html/>", page_of("")[:-3]):
            server.always(Answer(200, xml, body))
            with pytest.raises(StorageError):
                await storage.list("d")
        server.always(Answer(200, xml, page_of(ACCOUNT.replace("p/a&amp;b", "p/d/a"))))
        assert [entry.key for entry in await storage.list("d")] == ["d/a"]
        await storage.aclose()
