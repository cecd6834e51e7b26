"""Checks of S3's answers that botocore does not make: it accepts any XML, or nothing, as an empty listing or a
success.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiocopick.concurrency.threads import in_thread
from aiocopick.storage.backends.object_stores import Listing
from aiocopick.storage.backends.s3_listing import read_listing
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


async def checked_listing(status: int, headers: Mapping[str, str], body: bytes) -> Listing | None:
    """Return the content of an answer to ListObjectsV2; None if botocore's parser has to read it.

    Raises
    ------
    AnswerError
        It is not a listing.
    """
    check_answer(_ListObjects, {"status_code": status, "headers": headers, "body": body})
    return await in_thread(read_listing, body) if len(body) > LARGE else read_listing(body)


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
