"""Secrets in settings, addresses and keys of customers are never shown; the rows of reliability try every backend."""

from __future__ import annotations

import base64
import hashlib
import logging
import pickle
import traceback
from urllib.parse import unquote

import pytest

from aiocopick.errors import CopickError
from aiocopick.models.redaction import (
    redact_logs,
    redact_text,
    redact_url,
    scrub,
    secrets_in_url,
    secrets_of,
    shows_secret,
)
from aiocopick.storage import open_storage
from aiocopick.storage.keys import display_url
from aiocopick.storage.settings import Settings
from aiocopick.sync.root import from_file
from aiocopick.testing import FaultServer

CANARY = "canary-7f3a"


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


ADDRESSES = [
    "s3://key:PASS/WORD@bucket/p",
    "s3://key:PASS#WORD@bucket/p",
    "s3://key:PASSWORD@bucket/p",
    "gs://key:PASS/WORD@bucket/p",
    "https://user:PASS/WORD@127.0.0.1:1/p",
    "https://user:PASS#WORD@127.0.0.1:1/p",
    "https://user:PASS?WORD@127.0.0.1:1/p",
    "https://user:PASS@WORD@127.0.0.1:1/p",
    "https://PASSWORD@127.0.0.1:1/p",
    "https://127.0.0.1:1/p?sv=1&sig=PASSWORD",
    "https://127.0.0.1:1/p?X-Amz-Signature=PASSWORD&X-Amz-Credential=PASSWORD",
    "ftp://user:PASS/WORD@127.0.0.1:1/p",
]


def links_of(error: BaseException | None) -> list[BaseException]:
    """Return an error with everything that hangs from it, shown or not."""
    if error is None:
        return []
    return [error, *links_of(error.__cause__), *links_of(error.__context__)]


@pytest.mark.asyncio
@pytest.mark.parametrize("address", ADDRESSES)
async def test_no_address_shows_its_secret(address: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown = [display_url(address), redact_url(address), redact_text(f"at {address} it failed")]
    try:
        storage = open_storage(Settings(root=address, retries=0, timeout=2))
    except CopickError as error:
        storage = None
        shown += [text for link in links_of(error) for text in (str(link), repr(link), *getattr(link, "__notes__", ()))]
    if storage is not None:
        shown += [repr(storage), storage.url, storage.path_of("key")]
        for operation in (storage.read("object"), storage.list("dir")):
            with pytest.raises(CopickError) as caught:
                await operation
            for link in links_of(caught.value):
                shown += [str(link), repr(link), *getattr(link, "__notes__", ())]
            shown += traceback.format_exception(caught.value)
        await storage.aclose()
    shown += [record.getMessage() for record in caplog.records]
    assert not [text for text in shown if "PASS" in text or "WORD" in text]


@pytest.mark.asyncio
async def test_a_password_with_odd_characters_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    async with FaultServer(contents={"/p/object": b"content"}) as server:
        for password in ("pa/ss", "pa#ss", "pa?ss", "pa@ss", "pa%2Fss"):
            root = server.url.replace("http://", f"http://user:{password}@")
            storage = open_storage(Settings(root=f"{root}/p", retries=0))
            assert await storage.read("object") == b"content"
            sent = server.requests[-1].headers["authorization"].removeprefix("Basic ")
            assert base64.b64decode(sent).decode() == f"user:{unquote(password)}"
            await storage.aclose()


def test_what_is_no_secret_is_kept() -> None:
    for address in ("s3://bucket/runs@home/x", "https://host:8080/a@b/c", "http://[::1]:90/a@b", "https://host/a@b:c"):
        assert display_url(address) == redact_url(address) == redact_text(address) == address
    assert secrets_in_url("abfss://container@account.dfs.core.windows.net/p") == set()


@pytest.mark.asyncio
async def test_keys_of_customers_and_tokens_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    key = "CANARY" + "x" * 26
    caplog.set_level(logging.DEBUG)
    async with FaultServer() as server:
        server.always("403")
        given = {
            "key": "access-key",
            "secret": "secret-key",
            "token": "ab/CANARY+token==",
            "s3_additional_kwargs": {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key},
            "client_kwargs": {"endpoint_url": server.url, "region_name": "us-east-1"},
        }
        storage = open_storage(Settings(root="s3://bucket/p", fs_args=given, retries=0))
        for operation in (storage.read("a"), storage.write("a", b"1"), storage.list("")):
            with pytest.raises(CopickError):
                await operation
        assert base64.b64encode(key.encode()).decode() in repr(server.requests)
        await storage.aclose()
    digest = base64.b64encode(hashlib.md5(key.encode(), usedforsecurity=False).digest()).decode()
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "botocore" in {record.name.partition(".")[0] for record in caplog.records}
    for secret in ("CANARY", base64.b64encode(key.encode()).decode(), digest):
        assert secret not in logged


def test_what_a_server_sends_back_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    redact_logs("botocore.parsers")
    caplog.set_level(logging.DEBUG)
    logger = logging.getLogger("botocore.parsers")
    answer = (
        f"<Error><Code>InvalidToken</Code><Token-0>{CANARY}</Token-0></Error>X-Amz-Security-Token: {CANARY}".encode()
    )
    logger.debug("Response body:\n%s", answer)
    try:
        raise ValueError(answer)
    except ValueError:
        logger.debug("Exception caught when parsing error response body:", exc_info=True)
    assert "InvalidToken" in caplog.text
    assert "ValueError" in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    "text", ["a://" * 200_000, "a://b?" + "sigx=" * 200_000, "a://" + "@" * 400_000, "x://a:b" * 100_000]
)
def test_messages_of_any_size_are_scrubbed_in_time(text: str) -> None:
    # What goes back over the text would not end within the time that a test has.
    assert len(scrub(text, ())) <= len(text)
    assert len(redact_url(text)) <= len(text) + 200_000


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_config_that_is_not_there_is_named_without_secrets(address: str) -> None:
    with pytest.raises(CopickError) as caught:
        from_file(f"{address}/config.json")
    assert not [mark for mark in ("PASS", "WORD") if mark in f"{caught.value!r} {caught.value.path}"]
