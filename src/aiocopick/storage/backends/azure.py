"""Azure Blob Storage, by Azure's own client; arguments are those of adlfs, which the extra ``azure`` brings along.

adlfs itself binds its client to a loop of fsspec's and closes it there when the interpreter ends, so only its
arguments are kept. The service has no ranges from the end: such a read asks for the size first.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import anyio

from aiocopick._version import __version__
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import AccessDeniedError, NotFoundError, StorageError, StorageTimeoutError
from aiocopick.storage.backends.azure_listing import read_listing
from aiocopick.storage.backends.base import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    Condition,
    ConditionError,
    Content,
    Page,
    close_sockets,
    connections,
)
from aiocopick.storage.backends.bodies import (
    StatusError,
    age_of,
    beyond,
    check_encoding,
    check_length,
    complete,
    header_map,
    joined,
    range_header,
)
from aiocopick.storage.backends.object_stores import ObjectStore, children_page
from aiocopick.storage.backends.sessions import Proxies, prepared
from aiocopick.storage.base import Aged, Buffer, Capabilities, Range
from aiocopick.storage.faults import (
    AnswerError,
    Fault,
    TooLargeError,
    TruncatedError,
    common_fault,
    status_fault,
)
from aiocopick.storage.keys import Root
from aiocopick.storage.settings import Settings

# Names of metadata are identifiers here.
_WRITE_ID = "aiocopick_write"
# Up to this size an upload is one request.
_SINGLE_PUT = 5000 * 1024 * 1024
# A listing that takes longer to parse than a hop into a thread.
_LARGE = 64 * 1024
# Five thousand names of the greatest length, every byte escaped, with the properties of their blobs.
_MOST_LISTING = 64 * 1024 * 1024


class AzureBackend(ObjectStore):
    """One container, or a part of it."""

    capabilities = Capabilities(delimiter=True, conditional_writes=True, etags=True)

    def __init__(self, settings: Settings, root: Root) -> None:
        # abfss://container@account.dfs.core.windows.net/path names the account as well.
        container, at, account = root.container.partition("@")
        self._account = account.partition(".")[0] if at else None
        location = f"{container}/{root.prefix}".rstrip("/")
        super().__init__(settings, Root(protocol=root.protocol, location=location, url=root.url, query=root.query))

    async def connect(self) -> None:
        """Create the client."""
        self._azure = await in_thread(_import)
        import aiohttp
        from azure.core.pipeline.transport import AioHttpTransport

        self._session = prepared(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=connections()),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        )
        proxies = Proxies()

        class Transport(AioHttpTransport):  # type: ignore[misc]
            """Azure's own, which asks the environment for proxies only in sessions that it made itself."""

            async def send(self, request: Any, **config: Any) -> Any:
                if not config.get("proxies"):
                    config.setdefault("proxy", proxies.of(request.url))
                return await super().send(request, **config)

            def _get_request_data(self, request: Any) -> Any:
                # aiohttp would send large bytes in one go, which holds up the loop; a file it sends in pieces.
                data = super()._get_request_data(request)
                return io.BytesIO(data) if isinstance(data, bytes) and data else data

        arguments = dict(self.settings.fs_args)
        if self._account and not arguments.get("connection_string"):
            arguments.setdefault("account_name", self._account)
        try:
            self._service, self._credential = await in_thread(
                _client,
                arguments,
                {
                    "transport": Transport(session=self._session, session_owner=False),
                    # One layer of retries, and it is ours.
                    "retry_total": 0,
                    # A redirect would take credentials and contents to another host.
                    "permit_redirects": False,
                    "connection_timeout": CONNECT_TIMEOUT,
                    "read_timeout": READ_TIMEOUT,
                    "max_single_put_size": _SINGLE_PUT,
                    "user_agent": f"aiocopick/{__version__}",
                },
            )
        except BaseException:
            # A deadline may end before the client is made.
            with anyio.CancelScope(shield=True):
                await self._session.close()
            raise
        self._container = self._service.get_container_client(self.root.container)

    async def close(self) -> None:
        """Close the client and its session."""
        await self._service.close()
        if self._credential is not None and hasattr(self._credential, "close"):
            await self._credential.close()
        await self._session.close()

    def abandon(self) -> None:
        """Close the session's sockets."""
        close_sockets(self._session)

    @classmethod
    def meaning(cls, error: BaseException) -> Fault:
        """Return the meaning of an exception. Found by name, because the client may not be installed."""
        if isinstance(error, StatusError):
            return _status(error.status, error.reason, error.headers)
        names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("azure")}
        status = getattr(error, "status_code", None)
        if "HttpResponseError" in names and status is not None:
            code = str(getattr(error, "error_code", "") or "")
            headers = dict(getattr(getattr(error, "response", None), "headers", None) or {})
            return _status(int(status), code, headers)
        if "ClientAuthenticationError" in names or "CredentialUnavailableError" in names:
            reason = "no usable credentials; give account_key, sas_token or credential in fs_args, or anon=True"
            return Fault(AccessDeniedError, reason)
        if names & {"ServiceRequestTimeoutError", "ServiceResponseTimeoutError"}:
            return Fault(StorageTimeoutError, "the storage did not answer in time", retry=True)
        if "ServiceRequestError" in names:
            return Fault(StorageTimeoutError, "the endpoint could not be reached; check its address", retry=True)
        if "IncompleteReadError" in names:
            return Fault(StorageError, "the answer was cut short", retry=True)
        if names & {"ServiceResponseError", "HttpResponseError"}:
            return Fault(StorageError, "the connection failed", retry=True)
        return common_fault(error)

    # --- listings -----------------------------------------------------------------------------------------------------

    async def _list(
        self, prefix: str, delimiter: str | None, start_after: str = "", token: object | None = None, limit: int = 5000
    ) -> Page:
        # Azure cannot start after a name.
        query = {"restype": "container", "comp": "list", "include": "metadata", "maxresults": str(limit)}
        query |= {"prefix": prefix} if prefix else {}
        query |= {"delimiter": delimiter} if delimiter is not None else {}
        query |= {"marker": str(token)} if token else {}
        url = self._container.url
        url += ("&" if "?" in url else "?") + urlencode(query, quote_via=quote)
        # Through the client's pipeline, but not by its listing: that takes any answer for an empty one, and parses
        # thousands of names on the event loop.
        try:
            status, found, data = await self._get(self._container, url, {}, _MOST_LISTING)
        except TooLargeError:
            raise AnswerError(f"the server answered with more than {_MOST_LISTING} bytes of XML") from None
        page = complete(data, 200, found, None)
        asked = (page, status, found)
        listed = await in_thread(read_listing, *asked) if len(page) > _LARGE else read_listing(*asked)
        objects, prefixes, marker = listed
        return children_page(self.root.prefix, prefix, objects, prefixes, delimiter, marker)

    async def _get(
        self, client: Any, url: str, headers: dict[str, str], most: int | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        headers = {"x-ms-version": client.api_version, "Accept": "application/xml", **headers}
        request = self._azure.HttpRequest("GET", url, headers=headers)
        async with await client._client._client.send_request(request, stream=True) as answer:
            found = header_map(answer.headers)
            if answer.status_code >= 300:
                raise StatusError(answer.status_code, found.get("x-ms-error-code", ""), found)
            check_length(found, most)
            return answer.status_code, found, await joined(answer.iter_raw(), most)

    # --- contents -----------------------------------------------------------------------------------------------------

    async def read(self, key: str, span: Range | None, most: int | None = None) -> Content:
        """One GET, checked for completeness; the properties before it when the range counts from the end.

        Through the client's pipeline, but not by its download, which repeats requests on its own, asks twice for an
        empty blob, and stumbles over a server that ignores ranges.
        """
        return await self._read(key, span, most, {})

    async def read_unless(self, key: str, etag: str, span: Range | None, most: int | None = None) -> Content | None:
        """One GET, answered without a body if the blob has this etag."""
        try:
            content = await self._read(key, span, most, {"If-None-Match": f'"{etag}"'})
        except StatusError as error:
            if error.status == 304:
                return None
            raise
        return None if content.etag == etag else content

    async def _read(self, key: str, span: Range | None, most: int | None, condition: Mapping[str, str]) -> Content:
        blob = self._container.get_blob_client(self.absolute(key))
        headers = dict(condition)
        start, stop = span or (0, None)
        if start < 0:
            properties = await blob.get_blob_properties()
            if properties.size is None:
                raise TruncatedError("the server did not say how long it is")
            _version(properties.etag)
            start = max(0, properties.size + start)
            stop = properties.size if stop is None else min(stop, properties.size)
            if start >= stop:
                return Content(b"")
            headers["If-Match"] = f'"{_bare(properties.etag)}"'
            span = (start, stop)
        if span is not None:
            # What the client signs: it knows no plain Range.
            headers["x-ms-range"] = range_header(span)
        try:
            status, found, data = await self._get(blob, blob.url, headers, most)
        except StatusError as error:
            if error.status == 416 and span is not None:
                return Content(beyond(error.headers, span))
            if error.status == 412:
                raise TruncatedError("it changed while it was read") from None
            raise
        check_encoding(found, self.root.url, key, span)
        return Content(complete(data, status, found, span), _version(found.get("etag")))

    async def read_aged(self, key: str, most: int) -> Aged:
        """One GET."""
        blob = self._container.get_blob_client(self.absolute(key))
        status, found, data = await self._get(blob, blob.url, {}, most)
        return Aged(complete(data, status, found, None), _bare(found.get("etag")), age_of(found))

    async def write(self, key: str, data: Buffer, condition: Condition | None) -> str | None:
        """One upload; the properties afterwards when a condition does not hold, in case it was our own write."""
        blob = self._container.get_blob_client(self.absolute(key))
        arguments: dict[str, Any] = {"overwrite": True, "max_concurrency": 1}
        if condition is not None:
            arguments["metadata"] = {_WRITE_ID: condition.write_id}
            if condition.if_match is None:
                arguments["overwrite"] = False
            else:
                arguments["etag"] = f'"{condition.if_match}"'
                arguments["match_condition"] = self._azure.MatchConditions.IfNotModified
        body = data if isinstance(data, bytes) else bytes(data)
        try:
            answer = await blob.upload_blob(body, **arguments)
        except self._azure.HttpResponseError as error:
            if condition is None or not _is_condition(error):
                raise
            return await self._own_write(blob, condition)
        return _version(answer.get("etag"))

    async def _own_write(self, blob: Any, condition: Condition) -> str | None:
        try:
            properties = await blob.get_blob_properties()
        except self._azure.ResourceNotFoundError:
            raise ConditionError from None
        if (properties.metadata or {}).get(_WRITE_ID) != condition.write_id:
            raise ConditionError
        return _version(properties.etag)

    async def delete(self, keys: Sequence[str]) -> None:
        """One DELETE for each."""
        for key in keys:
            name = self.absolute(key)
            try:
                await self._container.delete_blob(name)
            except self._azure.ResourceNotFoundError:
                if name.endswith("/"):
                    await self._delete_folder(name[:-1])

    async def _delete_folder(self, name: str) -> None:
        blob = self._container.get_blob_client(name)
        try:
            properties = await blob.get_blob_properties()
            if (properties.metadata or {}).get("hdi_isfolder") == "true":
                await blob.delete_blob()
        except self._azure.ResourceNotFoundError:
            return

    async def copy(self, source: str, target: str) -> None:
        """One copy by the server, which inside an account is done when it answers."""
        origin = self._container.get_blob_client(self.absolute(source))
        blob = self._container.get_blob_client(self.absolute(target))
        answer = await blob.start_copy_from_url(origin.url)
        if answer.get("copy_status") not in ("success", "pending"):
            raise StorageError(f"{self.root.url}/{source}: the copy failed", path=source)


def _status(status: int, code: str, headers: Mapping[str, str]) -> Fault:
    if "ContainerNotFound" in code or "ContainerBeingDeleted" in code:
        return Fault(NotFoundError, "the container does not exist; check its name, or create it")
    return status_fault(status, code, headers)


def _import() -> Any:
    from azure.core import MatchConditions
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
    from azure.core.rest import HttpRequest
    from azure.storage.blob import aio  # noqa: F401 - imported here, in a thread

    class Names:
        """The names that are used from Azure's packages."""

    names: Any = Names()
    names.MatchConditions = MatchConditions
    names.HttpRequest = HttpRequest
    names.HttpResponseError = HttpResponseError
    names.ResourceNotFoundError = ResourceNotFoundError
    return names


def _client(arguments: Mapping[str, Any], tuning: Mapping[str, Any]) -> tuple[Any, Any]:
    """The client, and the credential to be closed with it when it was made here; arguments as adlfs takes them."""
    from azure.storage.blob.aio import BlobServiceClient

    def given(name: str) -> Any:
        return arguments.get(name) or os.environ.get(f"AZURE_STORAGE_{name.upper()}")

    connection_string = given("connection_string")
    if connection_string:
        return BlobServiceClient.from_connection_string(connection_string, **tuning), None
    account = given("account_name")
    if not account:
        raise AccessDeniedError("No storage account is named; give account_name or connection_string in fs_args")
    host = arguments.get("account_host") or f"{account}.blob.core.windows.net"
    credential = arguments.get("credential") or given("account_key") or given("sas_token")
    made = None
    if credential is None and not arguments.get("anon"):
        made = credential = _token_credential(given)
    return BlobServiceClient(f"https://{host}", credential=credential, **tuning), made


def _token_credential(given: Any) -> Any:
    from azure.identity.aio import ClientSecretCredential, DefaultAzureCredential

    if given("client_id") and given("client_secret") and given("tenant_id"):
        return ClientSecretCredential(
            tenant_id=given("tenant_id"), client_id=given("client_id"), client_secret=given("client_secret")
        )
    return DefaultAzureCredential()


def _is_condition(error: Any) -> bool:
    code = str(getattr(error, "error_code", "") or "")
    return error.status_code == 412 or "BlobAlreadyExists" in code


def _version(etag: str | None) -> str:
    if not etag:
        raise AnswerError("the server answered without an ETag, which Azure does not; check the address")
    return etag.strip('"')


def _bare(etag: str | None) -> str | None:
    return None if etag is None else etag.strip('"')
