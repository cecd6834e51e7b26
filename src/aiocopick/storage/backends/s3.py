"""S3 and compatible servers: s3fs creates the client from the user's arguments, requests go directly to the client.

s3fs's own reads send a HEAD first, its listings are cached and its requests retried; here each operation is one
request.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from aiocopick._version import __version__
from aiocopick.concurrency.forks import Lock
from aiocopick.concurrency.threads import in_thread
from aiocopick.models.redaction import redact_logs
from aiocopick.storage.backends.base import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    Backend,
    Condition,
    ConditionError,
    Content,
    Page,
    close_sockets,
    connections,
)
from aiocopick.storage.backends.bodies import (
    age_of,
    beyond,
    check_encoding,
    check_length,
    complete,
    joined,
    range_header,
)
from aiocopick.storage.backends.object_stores import Listing, Objects, ObjectStore, children_page
from aiocopick.storage.backends.s3_answers import (
    MOST_BYTES,
    check_answer,
    check_version,
    checked_listing,
    too_large,
)
from aiocopick.storage.backends.s3_direct import DirectRequests, list_arguments
from aiocopick.storage.backends.s3_errors import KeyFailure, s3_fault
from aiocopick.storage.backends.s3_models import loader, read_models
from aiocopick.storage.base import Aged, Buffer, Capabilities, Range
from aiocopick.storage.faults import Fault, TooLargeError
from aiocopick.storage.settings import Settings, merge

_PIECE = 1024 * 1024
_WRITE_ID = "aiocopick-write"
_loading = Lock()
# At DEBUG, they write whole requests, session token included.
_LOGGERS = (
    "botocore.auth", "botocore.client", "botocore.endpoint", "botocore.handlers", "botocore.hooks",
    "botocore.httpsession", "botocore.parsers", "botocore.regions", "botocore.utils", "s3fs",
)  # fmt: skip


class S3Backend(ObjectStore):
    """One bucket, or a part of it."""

    capabilities = Capabilities(delimiter=True, conditional_writes=True, etags=True)
    resumes = True
    counts_keys = True
    delete_batch = 1000

    @property
    def engine(self) -> str | None:
        """Library that transfers the contents of objects."""
        return "s3fs"

    async def early(self) -> Backend | None:
        """Return the first listing without s3fs, unless that is imported already."""
        if "s3fs" in sys.modules:
            return None
        from aiocopick.storage.backends.s3_first import FirstListing

        return await FirstListing.of(self.settings, self.root)

    async def connect(self) -> None:
        """Make the client."""
        # The import, botocore's descriptions of the service and the user's configuration are read from disk.
        self._filesystem = await in_thread(_filesystem, arguments_of(self.settings))
        self._client = await self._filesystem.set_session()
        _send_bodies_at_once(self._client)
        self._client.meta.events.register("before-call.s3.HeadBucket", _ask_for_the_region_once)
        self._client.meta.events.register_last("before-parse.s3", check_answer)
        # A session of the user's own may have handlers that every request has to pass.
        self._direct = DirectRequests(self._client, usable=self.settings.fs_args.get("session") is None)
        extra = {**self._filesystem.s3_additional_kwargs, **self._filesystem.req_kw}
        self._extra = {
            verb: self._filesystem._filter_kwargs(getattr(self._client, verb), extra)
            for verb in (
                "get_object",
                "put_object",
                "list_objects_v2",
                "delete_object",
                "delete_objects",
                "copy_object",
            )
        }

    async def close(self) -> None:
        """Close the client's connections."""
        await self._client.__aexit__(None, None, None)

    def abandon(self) -> None:
        """Close the client's sockets."""
        sessions = getattr(self._client._endpoint.http_session, "_sessions", None) or {}
        for session in sessions.values():
            close_sockets(session)

    def fault(self, error: BaseException) -> Fault:
        """Return the meaning of an exception."""
        return s3_fault(error, self.root.container)

    @classmethod
    def meaning(cls, error: BaseException) -> Fault:
        """Return the meaning of an exception, for any bucket."""
        return s3_fault(error, None)

    # --- listings -----------------------------------------------------------------------------------------------------

    async def _list(
        self, prefix: str, delimiter: str | None, start_after: str = "", token: object | None = None, limit: int = 1000
    ) -> Page:
        after = start_after and self.absolute(start_after)
        arguments = self._extra["list_objects_v2"] | list_arguments(prefix, delimiter, after, token, limit)
        found = await self._list_directly(arguments) or await self._list_by_botocore(arguments)
        return children_page(self.root.prefix, prefix, found.objects, found.prefixes, delimiter, found.token)

    async def _list_directly(self, arguments: Mapping[str, Any]) -> Listing | None:
        try:
            answer = await self._direct.list(arguments, MOST_BYTES)
        except TooLargeError:
            raise too_large() from None
        if answer is None:
            return None
        body, status, headers = answer
        found = await checked_listing(status, headers, body)
        if found is None:
            self._direct.leave("ListObjectsV2")
        return found

    async def _list_by_botocore(self, arguments: Mapping[str, Any]) -> Listing:
        answer = await self._client.list_objects_v2(Bucket=self.root.container, **arguments)
        await self._direct.learn_list(arguments)
        objects = Objects.of(
            (item["Key"], item.get("Size"), _bare(item.get("ETag")), _seconds(item.get("LastModified")))
            for item in answer.get("Contents", ())
        )
        prefixes = [item["Prefix"] for item in answer.get("CommonPrefixes", ())]
        return Listing(
            objects, prefixes, answer.get("NextContinuationToken", "") if answer.get("IsTruncated") else None
        )

    # --- contents -----------------------------------------------------------------------------------------------------

    async def read(self, key: str, span: Range | None, most: int | None = None) -> Content:
        """One GetObject, checked for completeness."""
        return await self._read(key, span, most)

    async def read_unless(self, key: str, etag: str, span: Range | None, most: int | None = None) -> Content | None:
        """One GetObject, answered without a body if the object has this etag."""
        try:
            content = await self._read(key, span, most, etag)
        except Exception as error:
            if _code(error) in ("304", "NotModified"):
                return None
            raise
        return None if content.etag == etag else content

    async def _read(self, key: str, span: Range | None, most: int | None, unless: str | None = None) -> Content:
        name, part = self.absolute(key), None if span is None else range_header(span)
        try:
            data, status, headers = await self._direct.get(name, part, most, unless) or await self._get(
                name, part, most, unless
            )
        except Exception as error:
            if span is not None and _code(error) == "InvalidRange":
                return Content(beyond(_headers(error), span))
            raise
        check_encoding(headers, self.root.url, key, span)
        data = complete(data, status, headers, span)
        check_version(headers.get("etag"))
        return Content(data, _bare(headers.get("etag")))

    async def _get(
        self, name: str, part: str | None, most: int | None, unless: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        arguments = self._extra["get_object"] | ({} if part is None else {"Range": part})
        if unless is not None:
            arguments["IfNoneMatch"] = f'"{unless}"'
        answer = await self._client.get_object(Bucket=self.root.container, Key=name, **arguments)
        metadata = answer["ResponseMetadata"]
        body = answer["Body"]
        async with body:  # In old releases the context is the response of aiohttp, which has no chunks.
            check_length(metadata["HTTPHeaders"], most)
            data = await joined(body.iter_chunks(_PIECE), most)
        await self._direct.learn_get(name)
        return data, metadata["HTTPStatusCode"], metadata["HTTPHeaders"]

    async def read_aged(self, key: str, most: int) -> Aged:
        """One GetObject."""
        data, status, headers = await self._get(self.absolute(key), None, most)
        return Aged(complete(data, status, headers, None), _bare(headers.get("etag")), age_of(headers))

    async def write(self, key: str, data: Buffer, condition: Condition | None) -> str | None:
        """One PutObject; one HeadObject more when a condition does not hold, in case it was our own write."""
        arguments = dict(self._extra["put_object"])
        if condition is not None:
            arguments |= {"IfNoneMatch": "*"} if condition.if_match is None else {"IfMatch": f'"{condition.if_match}"'}
            arguments["Metadata"] = {**arguments.get("Metadata", {}), _WRITE_ID: condition.write_id}
        body = data if isinstance(data, (bytes, bytearray)) else bytes(data)
        location = {"Bucket": self.root.container, "Key": self.absolute(key)}
        try:
            answer = await self._client.put_object(**location, Body=body, **arguments)
        except Exception as error:
            if condition is None or _code(error) not in ("PreconditionFailed", "412", "NoSuchKey"):
                raise
            return await self._own_write(location, condition)
        return _bare(answer.get("ETag"))

    async def _own_write(self, location: Mapping[str, str], condition: Condition) -> str | None:
        try:
            found = await self._client.head_object(**location)
        except Exception as error:
            if _code(error) in ("404", "NoSuchKey", "NotFound"):
                raise ConditionError from None
            raise
        if found.get("Metadata", {}).get(_WRITE_ID) != condition.write_id:
            raise ConditionError
        return _bare(found.get("ETag"))

    async def delete(self, keys: Sequence[str]) -> None:
        """Send one DeleteObjects; raise an error for keys that were not deleted, which botocore does not do."""
        bucket = self.root.container
        if len(keys) == 1:
            await self._client.delete_object(Bucket=bucket, Key=self.absolute(keys[0]), **self._extra["delete_object"])
            return
        wanted = {"Objects": [{"Key": self.absolute(key)} for key in keys], "Quiet": True}
        answer = await self._client.delete_objects(Bucket=bucket, Delete=wanted, **self._extra["delete_objects"])
        failed = [item for item in answer.get("Errors", ()) if item.get("Code") != "NoSuchKey"]
        if failed:
            raise KeyFailure(failed)

    async def copy(self, source: str, target: str) -> None:
        """One CopyObject, by the server."""
        bucket = self.root.container
        await self._client.copy_object(
            Bucket=bucket,
            Key=self.absolute(target),
            CopySource={"Bucket": bucket, "Key": self.absolute(source)},
            **self._extra["copy_object"],
        )


def _ask_for_the_region_once(context: dict[str, Any], **kwargs: Any) -> None:
    """Stop botocore's recursion: a redirected request for a bucket's region must not cause another such request."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def arguments_of(settings: Settings) -> dict[str, Any]:
    """Return the arguments for s3fs: the user's arguments replace our settings."""
    user = settings.fs_args
    client = user.get("client_kwargs") or {}
    endpoint = str(user.get("endpoint_url") or client.get("endpoint_url") or "")
    config: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "max_pool_connections": connections(),
        # One layer of retries, and it is ours.
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        # Composing the default one costs a quarter of a small request.
        "user_agent": f"aiocopick/{__version__}",
        # Checksums in trailers are refused by servers that speak an older dialect.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    tuning: dict[str, Any] = {"config_kwargs": config, "client_kwargs": {}}
    if endpoint.startswith("http://"):
        # Without it botocore loads the certificates of the system, which a plain connection does not look at.
        tuning["client_kwargs"]["verify"] = False
    arguments = merge(tuning, user)
    # These are what one filesystem per event loop stands on, and not for the user to change.
    return {**arguments, "asynchronous": True, "skip_instance_cache": True, "use_listings_cache": False}


def _send_bodies_at_once(client: Any) -> None:
    """Stop botocore from waiting for permission (100-continue) before an upload: a round trip for every small file."""
    from botocore.handlers import add_expect_header

    client.meta.events.unregister("before-call.s3", add_expect_header)


_OF_FSSPEC = frozenset(
    {"use_listings_cache", "listings_expiry_time", "max_paths", "skip_instance_cache", "asynchronous", "loop"}
)


def _filesystem(arguments: dict[str, Any]) -> Any:
    import s3fs

    from aiocopick.storage.backends.s3_session import OneRequestSession

    with _loading:
        read_models()
        redact_logs(*_LOGGERS)
    arguments = merge({"config_kwargs": {"http_session_cls": OneRequestSession}}, arguments)
    if arguments.get("session") is None:
        known = inspect.signature(s3fs.S3FileSystem.__init__).parameters.keys() | _OF_FSSPEC
        own = {name: value for name, value in arguments.items() if name not in known}
        arguments = {name: value for name, value in arguments.items() if name in known}
        arguments["session"] = _session(own)
    return s3fs.S3FileSystem(**arguments)


def _session(arguments: dict[str, Any]) -> Any:
    from aiobotocore.session import AioSession

    from aiocopick.storage.backends.s3_session import PatientParsers

    session = AioSession(**arguments)
    session.register_component("data_loader", loader())
    session.register_component("response_parser_factory", PatientParsers())
    # Read now, in a thread: the client would do it on the event loop.
    _ = session.full_config
    # Three quarters of the time for a listing are dateutil's otherwise.
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
    return session


def _timestamp(value: Any) -> datetime:
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        try:
            return datetime.fromtimestamp(float(value), UTC)
        except ValueError:
            return parsedate_to_datetime(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _bare(etag: str | None) -> str | None:
    return None if etag is None else etag.strip('"')


def _code(error: BaseException) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _headers(error: BaseException) -> Mapping[str, str]:
    response = getattr(error, "response", None)
    found = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}) if isinstance(response, dict) else {}
    return dict(found)
