"""The first listing of a process, by HTTP without s3fs: to import it takes longer than all else that ``aiocopick ls``
does.

Only an ``http://`` server is asked, with the keys of the arguments or the environment or with none, and only if nothing
else is said of the connection. The request is the same as botocore's. If it is not answered by a listing, s3fs's client
sends it again, and its errors are raised.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Mapping
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard
from urllib.parse import urlsplit

import anyio

from aiocopick._version import __version__
from aiocopick.concurrency.threads import in_thread
from aiocopick.storage.backends.base import CONNECT_TIMEOUT, Content, LaterError, Page
from aiocopick.storage.backends.object_stores import ObjectStore, children_page
from aiocopick.storage.backends.s3_answers import MOST_BYTES, checked_listing
from aiocopick.storage.backends.s3_direct import SignedTemplate, list_arguments, list_query
from aiocopick.storage.backends.sessions import Proxies
from aiocopick.storage.base import Capabilities, Range
from aiocopick.storage.faults import AnswerError
from aiocopick.storage.keys import Root
from aiocopick.storage.settings import Settings

_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of a request without a body."""

_ENDPOINT = re.compile(r"http://(?!.*amazonaws)[a-z0-9.-]+(:[0-9]{1,5})?/?", re.IGNORECASE)
_BUCKET = re.compile(r"(?!.*--)(?!.*-s3alias$)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9-]+")
_KEY = re.compile(r"[!-~]+")
_STATUS = re.compile(rb"HTTP/1\.[01] 200[ \r]")
_SAID = frozenset({"key", "secret", "token", "anon", "endpoint_url"})
_VARIABLES = frozenset(
    {
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3", "AWS_EC2_METADATA_DISABLED", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE",
    }
)  # fmt: skip
"""Those that are understood here, or say nothing of plain HTTP. Any other may say something of the connection."""


class Keys(NamedTuple):
    """Credentials, by botocore's names."""

    access_key: str
    secret_key: str
    token: str | None

    def __repr__(self) -> str:
        return "<credentials>"


class FirstListing(ObjectStore):
    """One bucket, or a part of it, that can only be listed.

    Parameters
    ----------
    settings : Settings
        See Backend.
    root : Root
        See Backend.
    form : SignedTemplate
        Template of the requests.
    keys : Keys, optional
        None for public data.
    """

    capabilities = Capabilities(delimiter=True)
    resumes = True

    def __init__(self, settings: Settings, root: Root, form: SignedTemplate, keys: Keys | None) -> None:
        super().__init__(settings, root)
        self._form = form
        self._keys = keys

    @classmethod
    async def of(cls, settings: Settings, root: Root) -> FirstListing | None:
        """Return the backend; None if more has to be known of the connection than is understood here."""
        said = _said(settings.fs_args)
        if said is None or not _BUCKET.fullmatch(root.container or ""):
            return None
        endpoint, region, keys = said
        # A proxy may be in the settings of the system, and files in a home on the network.
        if await in_thread(_more_is_said, endpoint):
            return None
        headers = {"user-agent": f"aiocopick/{__version__}"} | (
            {} if keys is None else {"x-amz-content-sha256": _EMPTY}
        )
        signed = None if keys is None else frozenset({"host", "x-amz-content-sha256"})
        form = SignedTemplate(f"{endpoint.rstrip('/')}/{root.container}", headers, signed, region, "s3")
        return cls(settings, root, form, keys)

    async def _list(
        self, prefix: str, delimiter: str | None, start_after: str = "", token: object | None = None, limit: int = 1000
    ) -> Page:
        after = start_after and self.absolute(start_after)
        query = list_query(list_arguments(prefix, delimiter, after, token, limit))
        url, headers = self._form.request("", None, self._keys, time.time(), query)
        try:
            found = await checked_listing(200, *await _answer(url, headers))
            if found is not None:
                return children_page(self.root.prefix, prefix, found.objects, found.prefixes, delimiter, found.token)
        except (AnswerError, OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass
        # Out of the handler: the error of the client that asks again has no other context.
        raise LaterError

    async def read(self, key: str, span: Range | None, most: int | None = None) -> Content:
        """Leave it to s3fs's client."""
        raise LaterError


def _said(fs_args: Mapping[str, Any]) -> tuple[str, str, Keys | None] | None:
    """Return endpoint, region and keys; None if there is more, or less, in the arguments and the environment."""
    given = {name: value for name, value in fs_args.items() if value is not None and value is not False}
    client = given.pop("client_kwargs", {})
    if not isinstance(client, Mapping) or given.keys() - _SAID or client.keys() - {"endpoint_url", "region_name"}:
        return None
    aws = {name: value for name, value in os.environ.items() if name.upper().startswith(("AWS_", "BOTO"))}
    if aws.keys() - _VARIABLES or not all(aws.values()):
        return None
    endpoint = (
        given.get("endpoint_url")
        or client.get("endpoint_url")
        or aws.get("AWS_ENDPOINT_URL_S3")
        or aws.get("AWS_ENDPOINT_URL")
    )
    region = client.get("region_name") or aws.get("AWS_DEFAULT_REGION") or "us-east-1"
    if not _is(endpoint, _ENDPOINT) or not _is(region, _REGION):
        return None
    if given.get("anon"):
        return endpoint, region, None
    in_arguments = [given.get(name) for name in ("key", "secret", "token")]
    in_environment = [aws.get(f"AWS_{name}") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")]
    key, secret, token = in_arguments if in_arguments != [None] * 3 else in_environment
    if not _is(key, _KEY) or not _is(secret, _KEY) or not (token is None or _is(token, _KEY)):
        return None
    return endpoint, region, Keys(key, secret, token)


def _is(value: Any, form: re.Pattern[str]) -> TypeGuard[str]:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _more_is_said(endpoint: str) -> bool:
    """Return True if there is a proxy, or a configuration of AWS."""
    config = os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")
    credentials = os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    files = [config, credentials, "~/.aws/models"]
    return Proxies().of(endpoint) is not None or any(
        name != os.devnull and Path(name).expanduser().exists() for name in files
    )


async def _answer(url: str, headers: Mapping[str, str]) -> tuple[Mapping[str, str], bytes]:
    """Send a GET; return headers and body of the answer.

    Raises
    ------
    OSError, EOFError, ValueError, asyncio.LimitOverrunError
        There is no answer, or not one to be understood here.
    """
    parts = urlsplit(url)
    # No host follows from this text that is not in the endpoint, and no line that is not meant to be one.
    lines = [f"GET {parts.path}?{parts.query} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    request = "\r\n".join([*lines, "accept-encoding: identity", "connection: close", "", ""]).encode("ascii")
    with anyio.fail_after(CONNECT_TIMEOUT):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        writer.write(request)
        status, _, text = (await reader.readuntil(b"\r\n\r\n")).partition(b"\n")
        if not _STATUS.match(status):
            raise ValueError("the status is not 200")
        told = HeaderParser().parsestr(text.decode("latin-1"))
        return {name.lower(): value for name, value in told.items()}, await _body(reader, told)
    finally:
        writer.transport.abort()


async def _body(reader: asyncio.StreamReader, headers: Any) -> bytes:
    lengths, codings = headers.get_all("content-length", []), headers.get_all("transfer-encoding", [])
    if headers.get("content-encoding", "identity") != "identity" or len(lengths) + len(codings) != 1:
        raise ValueError("the body is not plain")
    if lengths:
        return await reader.readexactly(_size(lengths[0], 10, MOST_BYTES))
    if codings != ["chunked"]:
        raise ValueError("the body is not plain")
    body = bytearray()
    while size := _size((await reader.readuntil(b"\r\n")).partition(b";")[0].decode(), 16, MOST_BYTES - len(body)):
        body += (await reader.readexactly(size + 2))[:-2]
    return bytes(body)


def _size(text: str, base: int, most: int) -> int:
    size = int(text, base)
    if not 0 <= size <= most:
        raise ValueError("the body is too large")
    return size
