"""Reads and listings from S3 with the same requests as botocore's, without its overhead.

For a small request, botocore evaluates the rules for endpoints, serialises, calls its event handlers and parses. That
takes several times as long as sending, with the same result for every object of a bucket. So botocore sends the first
GET, and the first LIST. If our signature of that request is identical, later ones of its kind are signed here and reuse
its connections; otherwise (older signatures, sessions of directory buckets, several regions at once) botocore keeps
sending.

The signature is version 4 of AWS: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote, urlsplit

from aiocopick.storage.backends.bodies import check_length, whole_body
from aiocopick.storage.faults import TooLargeError

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<access>[^/\s]+)/(?P<date>\d{8})/(?P<region>[^/\s]+)/(?P<service>[^/\s]+)"
    r"/aws4_request, SignedHeaders=(?P<names>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)
_OF_ONE_REQUEST = frozenset(
    {
        "authorization", "range", "if-none-match", "x-amz-date", "x-amz-security-token", "amz-sdk-invocation-id",
        "amz-sdk-request",
    }
)  # fmt: skip
_SIGNED_OF_ONE_REQUEST = frozenset({"range", "if-none-match", "x-amz-date", "x-amz-security-token"})
_REDIRECTED = frozenset({301, 302, 303, 307, 308, 400})
"""Statuses after which botocore may find the right server; 400 is the answer to a request for another region."""

_OF_THE_SIGNATURE = frozenset(
    {"RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "ExpiredTokenException"}
)
"""Refusals of how a request was signed; botocore knows more ways, such as following a server's clock."""

_MOST_ERROR = 64 * 1024
"""Bytes of an error document; of a longer one only the status is used."""

_QUERY = {
    "Prefix": "prefix", "Delimiter": "delimiter", "StartAfter": "start-after", "ContinuationToken": "continuation-token",
    "MaxKeys": "max-keys",
}  # fmt: skip

_sent: ContextVar[Any] = ContextVar("aiocopick_s3_sent", default=None)


class DirectRequests:
    """The direct GETs and LISTs of one client, each available after the first one.

    Parameters
    ----------
    client : object
        aiobotocore's.
    """

    __slots__ = ("_client", "_credentials", "_forms", "_http", "_unknown")

    def __init__(self, client: Any, *, usable: bool) -> None:
        self._client = client
        self._http: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
        self._credentials: Any = getattr(getattr(client, "_request_signer", None), "_credentials", None)
        self._forms: dict[str, SignedTemplate] = {}
        # Operations of which no request was seen yet.
        self._unknown = {"GetObject", "ListObjectsV2"} if usable and self._http is not None else set()
        for operation in self._unknown:
            client.meta.events.register(f"before-send.s3.{operation}", _note)

    async def learn_get(self, key: str) -> None:
        """Use the GET that this task has just sent successfully through botocore as the template of later ones."""
        await self._learn("GetObject", key)

    async def learn_list(self, arguments: Mapping[str, Any]) -> None:
        """Use the LIST that this task has just sent successfully through botocore as the template of later ones."""
        await self._learn("ListObjectsV2", "", list_query(arguments))

    async def _learn(self, operation: str, key: str, query: str = "") -> None:
        request = _sent.get()
        if operation not in self._unknown or request is None:
            return
        _sent.set(None)
        self._unknown.discard(operation)
        self._client.meta.events.unregister(f"before-send.s3.{operation}", _note)
        # A stub that answers instead of the server, as in tests, opens no connection.
        if getattr(self._http, "_sessions", True):
            form = SignedTemplate.of(request, key, await self._frozen(), query)
            if form is not None:
                self._forms[operation] = form

    def leave(self, operation: str) -> None:
        """Let botocore send the requests of an operation again."""
        self._forms.pop(operation, None)

    async def _frozen(self) -> Any:
        return None if self._credentials is None else await self._credentials.get_frozen_credentials()

    async def get(
        self, key: str, range_: str | None, most: int | None = None, unless: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]] | None:
        """Body, status and headers of the answer for one key, whose body is wanted unless it has that etag.

        None if botocore has to send this request, or all requests from now on.

        Raises
        ------
        Exception
            The same exceptions as from botocore.
        """
        return await self._send("GetObject", most, key, range_, unless=unless)

    async def list(self, arguments: Mapping[str, Any], most: int) -> tuple[bytes, int, Mapping[str, str]] | None:
        """Body, status and headers of a LIST, as :meth:`get` returns them."""
        return await self._send("ListObjectsV2", most, query=list_query(arguments))

    async def _send(
        self,
        operation: str,
        most: int | None,
        key: str = "",
        range_: str | None = None,
        query: str = "",
        unless: str | None = None,
    ) -> tuple[bytes, int, Mapping[str, str]] | None:
        form = self._forms.get(operation)
        if form is None:
            return None
        from botocore.awsrequest import AWSPreparedRequest

        url, headers = form.request(key, range_, await self._frozen(), time.time(), query, unless)
        answer = await self._http.send(AWSPreparedRequest("GET", url, headers, None, True))
        if answer.status_code < 300:
            return await _body(answer, most), answer.status_code, answer.headers
        error = await _error(answer, operation)
        if answer.status_code in _REDIRECTED or error.response["Error"].get("Code") in _OF_THE_SIGNATURE:
            self.leave(operation)
            return None
        raise error


def _note(request: Any, **_: Any) -> None:
    _sent.set(request)


async def _body(answer: Any, most: int | None) -> bytes:
    import aiohttp

    # Sessions of aiobotocore may be of httpx as well.
    if isinstance(answer.raw, aiohttp.ClientResponse):
        return await whole_body(answer.raw, most)
    check_length(answer.headers, most)
    content: bytes = await answer.content
    return content


async def _error(answer: Any, operation: str) -> Any:
    from botocore.exceptions import ClientError
    from botocore.parsers import ResponseParserFactory

    try:
        body = await _body(answer, _MOST_ERROR)
    except TooLargeError:
        body = b""
    response = {"status_code": answer.status_code, "headers": answer.headers, "body": body}
    parsed = ResponseParserFactory().create_parser("rest-xml").parse(response, None)
    return ClientError(parsed, operation)


def list_arguments(
    prefix: str, delimiter: str | None, start_after: str, token: object | None, limit: int
) -> dict[str, Any]:
    """Return the arguments of a LIST by their names in botocore."""
    arguments: dict[str, Any] = {"Prefix": prefix}
    if delimiter is not None:
        arguments["Delimiter"] = delimiter
    if token is not None:
        arguments["ContinuationToken"] = token
    elif start_after:
        arguments["StartAfter"] = start_after
    if limit != 1000:
        arguments["MaxKeys"] = limit
    return arguments


def list_query(arguments: Mapping[str, Any]) -> str:
    """Return the query of a LIST in the order in which it is signed."""
    told = {name: str(arguments[argument]) for argument, name in _QUERY.items() if argument in arguments}
    told |= {"list-type": "2", "encoding-type": "url"}
    return "&".join(f"{name}={quote(told[name], safe='-._~')}" for name in sorted(told))


class SignedTemplate:
    """The common parts of all requests of a client for one operation.

    Parameters
    ----------
    base : str
        URL of the bucket, up to the key.
    headers : mapping
        The headers that are the same in every request, with lower-case names.
    signed : frozenset of str
        Names of the signed headers; None if requests are not signed.
    region, service : str
        Region and service of the signature.
    """

    __slots__ = ("_base", "_headers", "_key", "_path", "_region", "_service", "_signed")

    def __init__(
        self, base: str, headers: Mapping[str, str], signed: frozenset[str] | None, region: str, service: str
    ) -> None:
        parts = urlsplit(base)
        self._base = base
        self._path = parts.path or "/"
        self._headers = {name: value for name, value in headers.items() if name not in _OF_ONE_REQUEST}
        self._headers.setdefault("host", _host(parts))
        self._signed = signed
        self._region = region
        self._service = service
        self._key: tuple[str, str, bytes] | None = None

    @classmethod
    def of(cls, request: Any, key: str, credentials: Any, query: str = "") -> SignedTemplate | None:
        """Return the template of a request that botocore has signed; None if it cannot be reproduced exactly."""
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        quoted = _quoted(key)
        url, _, asked = request.url.partition("?")
        # Checksums of answers are looked at by botocore alone.
        if (
            sorted(asked.split("&")) != query.split("&")
            or (key and not url.endswith(f"/{quoted}"))
            or "x-amz-checksum-mode" in headers
        ):
            return None
        base = url.removesuffix(quoted)
        if "authorization" not in headers:
            return cls(base, headers, None, "", "")
        told = _AUTHORIZATION.fullmatch(headers["authorization"])
        date = headers.get("x-amz-date", "")
        if told is None or credentials is None or told["access"] != credentials.access_key or not date:
            return None
        names = told["names"].split(";")
        form = cls(base, headers, frozenset(names) - _OF_ONE_REQUEST, told["region"], told["service"])
        values = {"host": form._headers["host"]} | headers
        if any(name not in values for name in names) or "x-amz-content-sha256" not in values:
            return None
        same = form._signature(quoted, query, values, names, date, credentials.secret_key) == told["signature"]
        return form if same else None

    def request(
        self, key: str, range_: str | None, credentials: Any, now: float, query: str = "", unless: str | None = None
    ) -> tuple[str, dict[str, str]]:
        """URL and headers of a GET or LIST; the query in the order in which it is signed."""
        quoted = _quoted(key)
        headers = dict(self._headers)
        if range_ is not None:
            headers["range"] = range_
        if unless is not None:
            headers["if-none-match"] = f'"{unless}"'
        if self._signed is not None:
            headers["x-amz-date"] = date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
            if credentials.token:
                headers["x-amz-security-token"] = credentials.token
            names = sorted(self._signed | (headers.keys() & _SIGNED_OF_ONE_REQUEST))
            signature = self._signature(quoted, query, headers, names, date, credentials.secret_key)
            headers["authorization"] = (
                f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{self._scope(date)}, "
                f"SignedHeaders={';'.join(names)}, Signature={signature}"
            )
        return f"{self._base}{quoted}?{query}" if query else self._base + quoted, headers

    def _scope(self, date: str) -> str:
        return f"{date[:8]}/{self._region}/{self._service}/aws4_request"

    def _signature(
        self, quoted: str, query: str, headers: Mapping[str, str], names: list[str], date: str, secret: str
    ) -> str:
        lines = [f"{name}:{' '.join(headers[name].split())}" for name in names]
        canonical = "\n".join(
            ["GET", self._path + quoted, query, *lines, "", ";".join(names), headers["x-amz-content-sha256"]]
        )
        text = "\n".join(["AWS4-HMAC-SHA256", date, self._scope(date), hashlib.sha256(canonical.encode()).hexdigest()])
        return hmac.new(self._signing_key(secret, date[:8]), text.encode(), hashlib.sha256).hexdigest()

    def _signing_key(self, secret: str, day: str) -> bytes:
        if self._key is None or self._key[:2] != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.new(key, part.encode(), hashlib.sha256).digest()
            self._key = (secret, day, key)
        return self._key[2]


def _quoted(key: str) -> str:
    return quote(key, safe="/~")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _host(parts: Any) -> str:
    default = {"http": 80, "https": 443}.get(parts.scheme)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return name if parts.port in (None, default) else f"{name}:{parts.port}"
