"""Credentials of Azure and Google Cloud: which are used, and where they are renewed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import google.auth.credentials
import pytest
from azure.identity.aio import ClientSecretCredential, DefaultAzureCredential

from aiocopick.errors import AccessDeniedError
from aiocopick.storage import open_storage
from aiocopick.storage.backends.azure import _client
from aiocopick.storage.settings import Settings
from aiocopick.testing import Answer, FaultServer

SECRET = {"client_id": "client", "client_secret": "secret", "tenant_id": "tenant"}
KEY = "a2V5"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "ACCOUNT_NAME",
        "ACCOUNT_KEY",
        "SAS_TOKEN",
        "CONNECTION_STRING",
        "CLIENT_ID",
        "CLIENT_SECRET",
        "TENANT_ID",
    ):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)


@pytest.mark.parametrize("arguments", [{}, {"account_key": KEY}, {"account_name": ""}])
def test_no_account_is_an_error_that_names_the_argument(arguments: dict[str, Any]) -> None:
    with pytest.raises(AccessDeniedError, match="account_name"):
        _client(arguments, {})


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"anon": True}, None),
        ({"account_key": KEY}, None),
        ({"sas_token": "sig=1"}, None),
        ({**SECRET, "account_key": KEY}, None),
        (SECRET, ClientSecretCredential),
        ({name: value for name, value in SECRET.items() if name != "tenant_id"}, DefaultAzureCredential),
        ({"tenant_id": "tenant"}, DefaultAzureCredential),
        ({}, DefaultAzureCredential),
    ],
)
async def test_the_credential_follows_from_what_is_given(arguments: dict[str, Any], kind: type | None) -> None:
    client, credential = _client({"account_name": "account", **arguments}, {})
    assert client.primary_hostname == "account.blob.core.windows.net"
    # What was given is the user's; what was made here is closed with the client.
    assert (credential is None) if kind is None else (type(credential) is kind)
    await client.close()
    if credential is not None:
        await credential.close()


@pytest.mark.asyncio
async def test_the_environment_names_what_no_argument_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "elsewhere")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    for arguments, account in (({}, "elsewhere"), ({"account_name": "here"}, "here")):
        client, credential = _client(arguments, {})
        assert (client.account_name, credential) == (account, None)
        await client.close()


@pytest.mark.asyncio
async def test_another_host_serves_the_account() -> None:
    client, _ = _client({"account_name": "here", "account_host": "127.0.0.1:10000", "anon": True}, {})
    assert client.primary_hostname == "127.0.0.1:10000"
    await client.close()


class Expiring(google.auth.credentials.Credentials):  # type: ignore[misc]
    """Credentials that note in which thread they are renewed."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[threading.Thread] = []

    def refresh(self, request: object) -> None:
        """Take the next token, for an hour."""
        self.threads.append(threading.current_thread())
        self.token = f"token-{len(self.threads)}"
        self.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)


@pytest.mark.asyncio
async def test_expired_credentials_of_google_are_renewed_off_the_loop() -> None:
    credentials = Expiring()
    async with FaultServer() as server:
        server.always(Answer(200, {"content-type": "text/plain", "x-goog-generation": "1"}, b"content"))
        arguments = {"token": credentials, "endpoint_url": server.url}
        storage = open_storage(Settings(root="gs://bucket/project", fs_args=arguments))
        await storage.read("one")
        await storage.read("one")
        credentials.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=100)
        await storage.read("one")
        await storage.aclose()
    assert [request.headers["authorization"] for request in server.requests] == [
        "Bearer token-1",
        "Bearer token-1",
        "Bearer token-2",
    ]
    assert threading.main_thread() not in credentials.threads
