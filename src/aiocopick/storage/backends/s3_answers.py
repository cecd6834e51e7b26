"""Checks of S3's answers that botocore does not make: it accepts any XML, or nothing, as an empty listing or a
success.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.parsers import AioResponseParserFactory, AioRestXMLParser

from aiocopick.concurrency.threads import in_thread
from aiocopick.storage.backends.sessions import prepared
from aiocopick.storage.faults import AnswerError, not_a_listing

_ROOTS = {"ListObjectsV2": "ListBucketResult", "DeleteObjects": "DeleteResult", "CopyObject": "CopyObjectResult"}
_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?\s*+(?:<\?[^>]*+>\s*+)?+<(?:[\w.-]++:)?+([\w.-]++)")
# A thousand keys of the greatest length, every byte escaped, are less.
MOST_BYTES = 16 * 1024 * 1024
_MOST_ERROR = 64 * 1024
# What is larger is parsed in a thread; a thousand common keys are less.
LARGE = 512 * 1024


def check_answer(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Refuse an answer that S3 does not give to this operation. Called by botocore before it parses an answer.

    Raises
    ------
    AnswerError
        It is not an answer of S3.
    """
    name, status = operation_model.name, int(response_dict["status_code"])
    headers, body = response_dict["headers"], response_dict["body"]
    if status >= 300:
        if isinstance(body, bytes) and len(body) > _MOST_ERROR:
            # Only the status is used: error documents are never that large.
            response_dict["body"] = b""
        return
    if name in _ROOTS:
        root = _ROOT.match(body)
        if len(body) > MOST_BYTES:
            raise too_large()
        if status == 200 and root is not None and root[1].decode() == _ROOTS[name]:
            return
        what = _kind(status, headers, body)
        raise not_a_listing(what) if name == "ListObjectsV2" else _not_done(what)
    if name in ("PutObject", "HeadObject") and (status != 200 or not headers.get("etag") or body.lstrip()[:1] == b"<"):
        raise _not_done(f"{_kind(status, headers, body)} and no ETag")
    if name == "DeleteObject" and (status not in (200, 204) or body.strip()):
        raise _not_done(_kind(status, headers, body))


def check_listing(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Refuse an answer to ListObjectsV2 that is not one.

    Raises
    ------
    AnswerError
        It is not a listing.
    """
    check_answer(_ListObjects, {"status_code": status, "headers": headers, "body": body})


class _ListObjects:
    name = "ListObjectsV2"


def too_large() -> AnswerError:
    """Return the error for an answer that is too large."""
    return AnswerError(f"the server answered with more than {MOST_BYTES} bytes of XML")


def check_version(etag: str | None) -> None:
    """Refuse content without an ETag: S3 sends one with every object.

    Raises
    ------
    AnswerError
        There is none.
    """
    if not etag:
        raise AnswerError(
            "the server answered with a content without an ETag, which no object of S3 is; check the address"
        )


def _not_done(what: str) -> AnswerError:
    return AnswerError(
        f"the server answered with {what}, which S3 does not: nothing shows that it was done; check the address"
    )


def _kind(status: int, headers: Mapping[str, str], body: bytes) -> str:
    if status != 200:
        return f"the status {status}"
    if not body.strip():
        return "nothing"
    return f"a page of {headers.get('content-type', 'an unknown type').partition(';')[0]}"


class OneRequestSession(AIOHTTPSession):  # type: ignore[misc]
    """The session of one client: a request is sent once, and to no other host."""

    async def _get_session(self, proxy_url: str | None) -> Any:
        return _Straight(prepared(await super()._get_session(proxy_url)))


class _Straight:
    """An aiohttp session that does not follow redirects: they would take headers, keys and bodies to other hosts."""

    __slots__ = ("_session",)

    def __init__(self, session: Any) -> None:
        self._session = session

    def request(self, method: str, **arguments: Any) -> Any:
        """Send a request, as aiohttp does."""
        return self._session.request(method, **arguments, allow_redirects=False)


class PatientParsers(AioResponseParserFactory):  # type: ignore[misc]
    """botocore's parsers, with large answers parsed off the event loop."""

    def create_parser(self, protocol_name: str) -> Any:
        """Make the parser of a protocol."""
        return _XMLParser(**self._defaults) if protocol_name == "rest-xml" else super().create_parser(protocol_name)


class _XMLParser(AioRestXMLParser):  # type: ignore[misc]
    def _do_parse(self, response: Mapping[str, Any], shape: Any) -> Any:
        body = response["body"]
        if isinstance(body, bytes) and len(body) > LARGE:
            return in_thread(super()._do_parse, response, shape)
        return super()._do_parse(response, shape)
