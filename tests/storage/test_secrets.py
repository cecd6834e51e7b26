"""A secret that is given to a storage is never shown: not by repr, errors, tracebacks or logs."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from aiocopick.errors import CopickError
from aiocopick.storage import Storage, open_storage
from aiocopick.storage.faults import scrub, secrets_of, shows_secret
from aiocopick.storage.settings import Settings
from aiocopick.testing import FaultServer

CANARY = "canary-7f3a"


def arguments(protocol: str, address: str) -> tuple[str, dict[str, object]]:
    if protocol == "s3":
        client = {"endpoint_url": address, "region_name": "us-east-1"}
        return "s3://bucket/p", {"key": f"{CANARY}-key", "secret": f"{CANARY}-secret", "token": f"{CANARY}-token",
                                 "client_kwargs": client}  # fmt: skip
    if protocol == "gs":
        return "gs://bucket/p", {"token": "anon", "endpoint_url": address, "session_kwargs": {"headers": {"X": CANARY}}}
    if protocol == "az":
        key = "Y2FuYXJ5LTdmM2E="
        string = f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={key};BlobEndpoint={address}/account;"
        return "az://bucket/p", {"connection_string": string, "note": CANARY}
    root = f"{address.replace('http://', f'http://user:{CANARY}@')}/p?token={CANARY}"
    return root, {"headers": {"Authorization": CANARY}}


@pytest_asyncio.fixture(params=["s3", "gs", "az", "http"])
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[tuple[FaultServer, Storage]]:
    async with FaultServer() as server:
        root, given = arguments(request.param, server.url)
        storage = open_storage(Settings(root=root, fs_args=given, retries=1, timeout=5))
        yield server, storage
        await storage.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ["403", "404", "500", "418", "reset", "short", "stall", "200"])
async def test_no_failure_shows_a_secret(
    opened: tuple[FaultServer, Storage], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    server, storage = opened
    server.always(fault)
    view = storage.options(timeout=0.3) if fault == "stall" else storage
    caplog.set_level(logging.DEBUG)
    shown = [repr(storage), str(storage), storage.url, storage.path_of("key"), repr(storage.stats)]
    for operation in (
        lambda: view.read("object"),
        lambda: view.list("dir"),
        lambda: view.stat("object"),
        lambda: view.write("object", b"x"),
        lambda: view.delete_many(["object"]),
    ):
        try:
            await operation()
        except CopickError as error:
            shown += [str(error), repr(error), *traceback.format_exception(error)]
            shown += [repr(pickle.loads(pickle.dumps(error)))]
    async with view.read_many(["object", "other"]) as results:
        shown += [repr(result) async for _, result in results]
    shown += [record.getMessage() for record in caplog.records]
    everything = "\n".join(shown)
    assert CANARY not in everything
    assert "Y2FuYXJ5" not in everything


def test_settings_hide_what_they_hold() -> None:
    settings = Settings(root=f"https://user:{CANARY}@host/p", fs_args={"secret": CANARY})
    assert CANARY not in repr(settings)
    assert CANARY not in str(settings)
    # They do travel: whoever unpickles a storage has to connect.
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_secrets_are_every_text_that_is_no_address() -> None:
    given = {
        "key": "abcdef",
        "client_kwargs": {"endpoint_url": "http://host", "headers": {"A": "ghijkl"}},
        "tokens": ["mnopqr", b"stuvwx"],
        "anon": True,
        "short": "abc",
    }
    assert set(secrets_of(given)) == {"abcdef", "ghijkl", "mnopqr", "stuvwx"}


def test_messages_are_scrubbed() -> None:
    text = "GET https://user:pw@host/a?X-Amz-Signature=abc failed for abcdef; see https://host/b?list-type=2"
    assert scrub(text, ("abcdef",)) == "GET https://host/a failed for ***; see https://host/b?list-type=2"


def test_a_chain_of_causes_is_looked_through() -> None:
    error = OSError("harmless")
    error.__cause__ = ValueError("with abcdef in it")
    assert shows_secret(error, ("abcdef",))
    assert not shows_secret(error, ("ghijkl",))
