"""Google Cloud Storage: gcsfs provides credentials and session, requests go directly to the JSON API.

gcsfs repeats a failed request six times on its own and reads an object with several requests; here each operation is
one. An object's generation is its etag: it is what the API's conditions compare.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from aiocopick._version import __version__
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import AccessDeniedError, NotFoundError, StorageError
from aiocopick.storage.backends.base import (
    Condition,
    ConditionError,
    Content,
    Page,
    close_sockets,
)
from aiocopick.storage.backends.bodies import (
    StatusError,
    beyond,
    check_encoding,
    complete,
    header_map,
    range_header,
    whole_body,
)
from aiocopick.storage.backends.object_stores import Objects, ObjectStore, children_page
from aiocopick.storage.backends.sessions import Proxies, prepared, session_arguments
from aiocopick.storage.base import Aged, Buffer, Capabilities, Range
from aiocopick.storage.faults import AnswerError, Fault, TooLargeError, common_fault, not_a_listing, status_fault

_WRITE_ID = "aiocopick-write"
_OBJECT, _OBJECTS, _REWRITE = "storage#object", "storage#objects", "storage#rewriteResponse"
_MOST_JSON = 16 * 1024 * 1024
_MOST_ERROR = 64 * 1024
# What is larger is parsed in a thread; a thousand common names are less.
_LARGE = 512 * 1024
_FIELDS = "kind,items(name,size,generation,updated),prefixes,nextPageToken"


class GCSBackend(ObjectStore):
    """One bucket, or a part of it."""

    capabilities = Capabilities(delimiter=True, conditional_writes=True, etags=True)
    resumes = True

    async def connect(self) -> None:
        """Find the credentials and create the session."""
        arguments = session_arguments("session_kwargs", self.settings.fs_args)
        # Looking for credentials reads files and may ask the network.
        self._filesystem = await in_thread(_make, arguments)
        self._session = prepared(await self._filesystem._set_session())
        self._proxies, self._proxied = Proxies(), "proxy" in arguments["session_kwargs"]

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()

    def abandon(self) -> None:
        """Close the session's sockets."""
        close_sockets(self._session)

    @classmethod
    def meaning(cls, error: BaseException) -> Fault:
        """Return the meaning of an exception."""
        if isinstance(error, StatusError):
            if _is_of_bucket(error):
                return Fault(NotFoundError, "the bucket does not exist; check its name, or create it")
            if error.status == 401:
                return Fault(AccessDeniedError, "the credentials are missing, wrong or expired; renew them")
            return status_fault(error.status, error.reason, error.headers)
        if type(error).__module__.startswith("google.auth"):
            reason = "no usable credentials; give token in fs_args, or token='anon' for public data"
            return Fault(AccessDeniedError, reason)
        return common_fault(error)

    # --- requests -----------------------------------------------------------------------------------------------------

    async def _ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        upload: bool = False,
        most: int | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        import yarl

        filesystem = self._filesystem
        base = f"{filesystem._location}/upload/storage/v1/" if upload else filesystem.base
        query = filesystem._get_params(dict(parameters or {}))
        sent = {"User-Agent": f"aiocopick/{__version__}", "Accept-Encoding": "identity", **(headers or {})}
        credentials = filesystem.credentials
        if credentials.credentials is not None and not credentials._credentials_valid(300):
            # Renewing them is a blocking request.
            await in_thread(credentials.maybe_refresh)
        sent = filesystem._get_headers(sent)
        url = yarl.URL(base + path, encoded=True).extend_query(query)
        # A redirect would take credentials and contents to another host.
        proxy: dict[str, Any] = {} if self._proxied else {"proxy": self._proxies.of(base)}
        # aiohttp would send large bytes in one go, which holds up the loop; a file it sends in pieces.
        content = None if data is None else io.BytesIO(data)
        async with self._session.request(
            method, url, headers=sent, data=content, allow_redirects=False, **proxy
        ) as answer:
            found = header_map(answer.headers)
            if answer.status >= 300:
                body = await answer.content.read(_MOST_ERROR)
                raise StatusError(answer.status, _reason(body) or answer.reason or "", found)
            body = await whole_body(answer, most)
            if answer.status not in (204, 206) and "content-length" in found:
                body = complete(body, 200, found, None)
            return answer.status, found, body

    async def _ask_json(
        self, method: str, path: str, kind: str, parameters: Mapping[str, str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        try:
            status, found, body = await self._ask(method, path, parameters, most=_MOST_JSON, **kwargs)
        except TooLargeError:
            raise AnswerError(f"the server answered with more than {_MOST_JSON} bytes of JSON") from None
        try:
            answer = await in_thread(json.loads, body) if len(body) > _LARGE else json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and answer.get("kind") == kind:
            return answer
        page = f"a page of {found.get('content-type', 'an unknown type').partition(';')[0]}" if body else "nothing"
        what = page if status == 200 else f"the status {status}"
        if kind == _OBJECTS:
            raise not_a_listing(what)
        raise AnswerError(
            f"the server answered with {what}, which Google Cloud Storage does not: nothing shows that it was done; "
            "check the address"
        )

    def _object(self, key: str) -> str:
        return f"b/{quote(self.root.container, safe='')}/o/{quote(self.absolute(key), safe='')}"

    # --- listings -----------------------------------------------------------------------------------------------------

    async def _list(
        self, prefix: str, delimiter: str | None, start_after: str = "", token: object | None = None, limit: int = 1000
    ) -> Page:
        parameters = {"prefix": prefix, "maxResults": str(limit), "fields": _FIELDS}
        if delimiter is not None:
            parameters["delimiter"] = delimiter
        if token:
            parameters["pageToken"] = str(token)
        elif start_after:
            # Inclusive, unlike S3's: what comes twice is dropped by the caller.
            parameters["startOffset"] = self.absolute(start_after)
        try:
            answer = await self._ask_json("GET", f"b/{quote(self.root.container, safe='')}/o", _OBJECTS, parameters)
        except StatusError as error:
            raise (_of_bucket(error) if error.status == 404 else error) from None
        try:
            objects = Objects.of(
                (item["name"], int(item.get("size", 0)), item.get("generation"), _seconds(item.get("updated")))
                for item in answer.get("items") or ()
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise not_a_listing("JSON that names no objects") from None
        token = answer.get("nextPageToken") or None
        return children_page(self.root.prefix, prefix, objects, answer.get("prefixes") or (), delimiter, token)

    # --- contents -----------------------------------------------------------------------------------------------------

    async def read(self, key: str, span: Range | None, most: int | None = None) -> Content:
        """One GET, checked for completeness."""
        return await self._read(key, span, most, {})

    async def read_unless(self, key: str, etag: str, span: Range | None, most: int | None = None) -> Content | None:
        """One GET, answered without a body if the object is of this generation."""
        try:
            content = await self._read(key, span, most, {"ifGenerationNotMatch": etag})
        except StatusError as error:
            if error.status == 304:
                return None
            raise
        return None if content.etag == etag else content

    async def _read(self, key: str, span: Range | None, most: int | None, condition: Mapping[str, str]) -> Content:
        headers = {} if span is None else {"Range": range_header(span)}
        try:
            status, found, body = await self._ask(
                "GET", self._object(key), {"alt": "media", **condition}, headers=headers, most=most
            )
        except StatusError as error:
            if error.status == 416 and span is not None:
                return Content(beyond(error.headers, span))
            raise
        check_encoding(found, self.root.url, key, span)
        body = complete(body, status, found, span)
        if "x-goog-generation" not in found:
            raise AnswerError(
                "the server answered with a content without its generation, which no object is; check the address"
            )
        return Content(body, found["x-goog-generation"])

    async def read_aged(self, key: str, most: int) -> Aged:
        """One GET of the content, and one of the metadata, which say when it was written."""
        _, headers, body = await self._ask("GET", self._object(key), most=_MOST_JSON)
        told = json.loads(body)
        content = await self.read(key, None, most)
        generation = told.get("generation")
        # Another version has another age: it is as young as can be.
        age = 0.0 if content.etag not in (None, generation) else _age(headers, told.get("updated"))
        return Aged(content.data, content.etag or generation, age)

    async def write(self, key: str, data: Buffer, condition: Condition | None) -> str | None:
        """One upload; one GET of the metadata more when a condition does not hold, in case it was our own write."""
        metadata: dict[str, Any] = {"name": self.absolute(key)}
        parameters = {"uploadType": "multipart"}
        if condition is not None:
            metadata["metadata"] = {_WRITE_ID: condition.write_id}
            parameters["ifGenerationMatch"] = condition.if_match or "0"
        body, kind = _multipart(metadata, bytes(data))
        path = f"b/{quote(self.root.container, safe='')}/o"
        headers = {"Content-Type": kind}
        try:
            answer = await self._ask_json("POST", path, _OBJECT, parameters, headers=headers, data=body, upload=True)
        except StatusError as error:
            if error.status == 404 and (condition is None or condition.if_match is None):
                # The missing object cannot be the new object itself.
                raise _of_bucket(error) from None
            if condition is None or error.status not in (412, 404) or _is_of_bucket(error):
                raise
            return await self._own_write(key, condition)
        return _version(answer)

    async def _own_write(self, key: str, condition: Condition) -> str | None:
        try:
            found = await self._ask_json("GET", self._object(key), _OBJECT)
        except StatusError as error:
            if error.status == 404:
                raise ConditionError from None
            raise
        if (found.get("metadata") or {}).get(_WRITE_ID) != condition.write_id:
            raise ConditionError
        return _version(found)

    async def delete(self, keys: Sequence[str]) -> None:
        """One DELETE for each."""
        for key in keys:
            try:
                status, _, body = await self._ask("DELETE", self._object(key))
                # The service answers 204 with nothing, servers that stand for it 200 with a JSON null.
                if status not in (200, 204) or body.strip() not in (b"", b"null"):
                    raise AnswerError("the server answered to a deletion with a page: nothing shows that it was done")
            except StatusError as error:
                if error.status != 404:
                    raise

    async def copy(self, source: str, target: str) -> None:
        """One rewrite by the server; more of them when the object is large."""
        path = f"{self._object(source)}/rewriteTo/{self._object(target)}"
        parameters: dict[str, str] = {}
        while True:
            answer = await self._ask_json("POST", path, _REWRITE, parameters)
            if answer.get("done"):
                return
            if not answer.get("rewriteToken"):
                raise StorageError(
                    f"{self.root.url}/{source}: the server stopped in the middle of the copy", path=source
                )
            parameters = {"rewriteToken": answer["rewriteToken"]}


def _of_bucket(error: StatusError) -> StatusError:
    """Return the same answer as an error of the bucket, because nothing else can be missing."""
    return error if _is_of_bucket(error) else StatusError(error.status, "no such bucket", error.headers)


def _is_of_bucket(error: StatusError) -> bool:
    return error.status == 404 and "bucket" in error.reason.lower()


def _make(arguments: dict[str, Any]) -> Any:
    from gcsfs.core import GCSFileSystem

    return GCSFileSystem(**arguments)


def _multipart(metadata: Mapping[str, Any], data: bytes) -> tuple[bytes, str]:
    boundary = "aiocopick-8d1f6f0a52b14b6c"
    while boundary.encode() in data:
        boundary += "x"
    head = (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(metadata)}\r\n"
        f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    return b"".join(
        (head.encode(), data, f"\r\n--{boundary}--\r\n".encode())
    ), f"multipart/related; boundary={boundary}"


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")


def _version(answer: Mapping[str, Any]) -> str:
    if not answer.get("generation"):
        raise AnswerError("the server answered without a generation: nothing shows that the object was stored")
    return str(answer["generation"])


def _age(headers: Mapping[str, str], updated: str | None) -> float | None:
    try:
        answered, modified = parsedate_to_datetime(headers["date"]).timestamp(), _seconds(updated)
    except (KeyError, TypeError, ValueError):
        return None
    return None if modified is None else max(0.0, answered - modified)


def _seconds(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()
