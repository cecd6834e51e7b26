"""S3 with contents transferred by obstore, a native client: a fifth of the processor time for each small object.

Listings, deletions and writes with a condition stay with s3fs's client: obstore knows no delimiter but ``/``. It gets
its endpoint and credentials from that client, so that both use the same server as the same user; with a
proxy or with certificates of one's own, everything stays with that client. obstore starts threads
that do not survive a fork, and a child would wait for them for ever: there it is not used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aiocopick._version import __version__
from aiocopick.concurrency.forks import is_forked
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import StorageError, StorageTimeoutError
from aiocopick.extras import advice
from aiocopick.storage.backends.base import CONNECT_TIMEOUT, READ_TIMEOUT, Backend, Condition, Content
from aiocopick.storage.backends.bodies import check_encoding
from aiocopick.storage.backends.s3 import S3Backend
from aiocopick.storage.backends.s3_answers import check_version
from aiocopick.storage.backends.s3_errors import code_fault, s3_fault
from aiocopick.storage.backends.sessions import Proxies
from aiocopick.storage.base import Buffer, Range
from aiocopick.storage.faults import AnswerError, Fault, TooLargeError, TruncatedError

_NOWHERE = "http://127.0.0.1:0"

# The process whose threads obstore has started.
_started_in: int | None = None


class ObstoreBackend(S3Backend):
    """One bucket, or a part of it, through two clients."""

    async def early(self) -> Backend | None:
        """Return the first listing without either, unless obstore was chosen: it may have to be missed."""
        return await super().early() if self.settings.engine == "auto" else None

    async def connect(self) -> None:
        """Make both clients, or one if only s3fs's can be used."""
        global _started_in
        self._obstore = await self._imported()
        await super().connect()
        self._store: Any = None
        self._credentials: _Credentials | None = None
        if self._obstore is not None and _only_s3fs(self._filesystem, self._client, self.root.container):
            self._obstore = None
        if self._obstore is not None:
            _started_in = os.getpid()
            self._options = _client_options(self._filesystem, self._endpoint)

    async def _imported(self) -> Any:
        """Import obstore; None if the choice of the engine is ours, and obstore cannot be used here."""
        automatic = self.settings.engine == "auto"
        if automatic and is_forked():
            return None
        if _started_in not in (None, os.getpid()):
            raise StorageError(
                f"{self.root.url}: obstore does not work in a forked process; "
                "start it with spawn, or open the project with engine='s3fs'",
                path=self.root.url,
            )
        try:
            return await in_thread(_import)
        except ImportError as error:
            if automatic:
                return None
            reason = advice(error, "obstore")
            raise StorageError(f"{self.root.url}: engine='obstore' needs {reason}", path=self.root.url) from None

    @property
    def engine(self) -> str:
        """Library that transfers the contents of objects."""
        return "s3fs" if self._obstore is None else "obstore"

    def fault(self, error: BaseException) -> Fault:
        """Return the meaning of an exception of either client."""
        return _fault(error, self.root.container)

    @classmethod
    def meaning(cls, error: BaseException) -> Fault:
        """Return the meaning of an exception of either client, for any bucket."""
        return _fault(error, None)

    async def read(self, key: str, span: Range | None, most: int | None = None) -> Content:
        """One GetObject, checked for completeness."""
        data, etag = await self.read_view(key, span, most)
        return Content(bytes(data), etag)

    async def read_view(self, key: str, span: Range | None, most: int | None = None) -> tuple[Buffer, str | None]:
        """One GetObject, checked for completeness; the data is obstore's."""
        obstore = self._obstore
        if obstore is None or self._extra["get_object"]:
            # What s3fs was told to add to each request (a payer, a customer's key), obstore cannot.
            return await super().read(key, span, most)
        return await self._fetch(obstore, key, span, most)

    async def read_unless(self, key: str, etag: str, span: Range | None, most: int | None = None) -> Content | None:
        """One GetObject, answered without a body if the object has this etag."""
        obstore = self._obstore
        if obstore is None or self._extra["get_object"]:
            return await super().read_unless(key, etag, span, most)
        try:
            data, current = await self._fetch(obstore, key, span, most, etag)
        except Exception as error:
            if type(error).__name__ == "NotModifiedError" or _status(str(error)) == 304:
                return None
            raise
        return None if current == etag else Content(bytes(data), current)

    async def _fetch(
        self, obstore: Any, key: str, span: Range | None, most: int | None, unless: str | None = None
    ) -> tuple[Buffer, str | None]:
        store = await self._reach(obstore)
        # A range for the whole as well: only then does obstore look at which part it was sent.
        options: dict[str, Any] = {"range": _asked(span or (0, None))}
        if unless is not None:
            options["if_none_match"] = f'"{unless}"'
        try:
            answer = await obstore.get_async(store, self.absolute(key), options=options)
            first, last = answer.range
            if most is not None and last - first > most:
                raise TooLargeError(f"it has {last - first} bytes")
            data = memoryview(await answer.bytes_async())
        except Exception as error:
            text = str(error)
            # An empty object has no first byte; others may be refused in error.
            if _status(text) == 416 or _REFUSED.search(text):
                return await super().read(key, span, most)
            if not _elsewhere(text):
                raise
            content = await super().read(key, span, most)
            self._obstore = None
            return content
        encoding = answer.attributes.get("Content-Encoding", "")
        check_encoding({"content-encoding": encoding}, self.root.url, key, span)
        if len(data) != last - first:
            raise TruncatedError(f"{len(data)} of {last - first} bytes arrived")
        if span is None and (first, last) != (0, answer.meta["size"]):
            raise AnswerError("the server sent a part of it, which was not asked for")
        etag = answer.meta["e_tag"]
        check_version(etag)
        if span is not None and span[0] < 0 and span[1] is not None:
            # A tail cannot be given an end as well: it is cut afterwards.
            data = data[: max(0, span[1] - first)]
        return data, None if etag is None else etag.strip('"')

    async def write(self, key: str, data: Buffer, condition: Condition | None) -> str | None:
        """Send one PutObject; by s3fs's client if there is a condition."""
        obstore = self._obstore
        if condition is not None or obstore is None or self._extra["put_object"]:
            return await super().write(key, data, condition)
        store = await self._reach(obstore)
        try:
            answer = await obstore.put_async(store, self.absolute(key), data, use_multipart=False)
        except Exception as error:
            if not _elsewhere(str(error)):
                raise
            written = await super().write(key, data, condition)
            self._obstore = None
            return written
        etag = answer["e_tag"]
        return None if etag is None else str(etag).strip('"')

    async def _reach(self, obstore: Any) -> Any:
        """Return the store with the current credentials; a new one if they were renewed."""
        # botocore keeps the credentials of a client, and renews them, in its signer only.
        known = self._client._request_signer._credentials
        frozen = None if known is None else await known.get_frozen_credentials()
        credentials = None if frozen is None else _Credentials(frozen.access_key, frozen.secret_key, frozen.token)
        if self._store is None or credentials != self._credentials:
            self._store = self._make(obstore, credentials)
            self._credentials = credentials
        return self._store

    def _make(self, obstore: Any, credentials: _Credentials | None) -> Any:
        if credentials is None and not self._filesystem.anon:
            from botocore.exceptions import NoCredentialsError

            raise NoCredentialsError
        virtual = (self._client.meta.config.s3 or {}).get("addressing_style") == "virtual"
        scheme, _, host = self._endpoint.partition("://")
        # A provider, because keys that are given singly are mixed with those of the environment.
        access: dict[str, Any] = (
            {"skip_signature": True}
            if credentials is None or self._filesystem.anon
            else {"credential_provider": credentials.provide}
        )
        return obstore.store.S3Store(
            self.root.container,
            endpoint=f"{scheme}://{self.root.container}.{host}" if virtual else self._endpoint,
            virtual_hosted_style_request=virtual,
            region=self._client.meta.region_name or "us-east-1",
            client_options=self._options,
            # One layer of retries, and it is ours.
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=READ_TIMEOUT)},
            **access,
        )

    @property
    def _endpoint(self) -> str:
        return str(self._client.meta.endpoint_url)


class _Credentials(NamedTuple):
    key: str
    secret: str
    token: str | None

    def __repr__(self) -> str:
        return "<credentials>"

    def provide(self) -> dict[str, Any]:
        """Return the credentials as obstore requests them; it gets new ones when these expire."""
        return {"access_key_id": self.key, "secret_access_key": self.secret, "token": self.token, "expires_at": None}


def _import() -> Any:
    import obstore
    import obstore.store

    return obstore


def _client_options(filesystem: Any, endpoint: str) -> dict[str, Any]:
    """Return the user's connection settings for s3fs as settings for obstore."""
    scheme = endpoint.partition("://")[0]
    options: dict[str, Any] = {
        "allow_http": scheme == "http",
        "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT),
        "timeout": timedelta(seconds=READ_TIMEOUT),
        "user_agent": f"aiocopick/{__version__}",
    }
    if scheme == "http" or filesystem.client_kwargs.get("verify", True) is False:
        # On a plain connection as well: reading the certificates of the system takes longer than a request.
        options["allow_invalid_certificates"] = True
    # obstore follows redirects, with the session token, and has no option against it: all hosts but the endpoint are
    # given a proxy where nothing can listen.
    return {**options, "proxy_url": _NOWHERE, "proxy_excludes": urlsplit(endpoint).hostname or ""}


def _only_s3fs(filesystem: Any, client: Any, bucket: str) -> bool:
    """Return True if only s3fs's client can do what the configuration or the environment says of the connection."""
    # A bundle of certificates replaces those of the system there, and would be added to them here.
    pinned = isinstance(getattr(client._endpoint.http_session, "_verify", None), str)
    config = client.meta.config
    moved = any((config.s3 or {}).get(name) for name in ("use_accelerate_endpoint", "use_dualstack_endpoint"))
    moved = moved or any(getattr(config, name, None) for name in ("use_dualstack_endpoint", "use_fips_endpoint"))
    certified = getattr(config, "client_cert", None) is not None
    # Directory buckets have sessions of their own.
    return (
        pinned
        or moved
        or certified
        or bucket.endswith("--x-s3")
        or _has_proxy(filesystem, str(client.meta.endpoint_url))
    )


# Arguments that mean the same to obstore; those of the filesystem alone mean nothing to it.
_SAME = frozenset({"key", "secret", "token", "username", "password", "anon", "profile", "endpoint_url", "use_ssl"})
_OF_THE_FILESYSTEM = frozenset(
    {
        "asynchronous", "cache_regions", "default_block_size", "default_cache_type", "default_fill_cache",
        "fixed_upload_size", "listings_expiry_time", "loop", "max_concurrency", "max_paths", "skip_instance_cache",
        "use_listings_cache",
    }
)  # fmt: skip
_SAME_TO_THE_CLIENT = frozenset(
    {
        "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "endpoint_url", "region_name", "use_ssl",
    }
)  # fmt: skip


def suits(fs_args: Mapping[str, Any]) -> bool:
    """Return True if obstore is installed, and can do all that the arguments for s3fs say."""
    given = {name: value for name, value in fs_args.items() if value}
    client, config = given.pop("client_kwargs", {}), given.pop("config_kwargs", {})
    if not isinstance(client, Mapping) or not isinstance(config, Mapping):
        return False
    client, config = dict(client), dict(config)
    verify = client.pop("verify", None)
    styles = dict(config.pop("s3", None) or ())
    styles.pop("addressing_style", None)
    signature = config.pop("signature_version", "s3v4")
    config.pop("region_name", None)
    understood = given.keys() <= _SAME | _OF_THE_FILESYSTEM and client.keys() <= _SAME_TO_THE_CLIENT
    plain = not config and not styles and signature == "s3v4" and not isinstance(verify, (str, os.PathLike))
    return understood and plain and not is_forked() and find_spec("obstore") is not None


def _has_proxy(filesystem: Any, endpoint: str) -> bool:
    """Return if requests to the endpoint go through a proxy of the configuration or the environment."""
    configured = filesystem.config_kwargs.get("proxies")
    if configured is not None:
        return urlsplit(endpoint).scheme in configured
    return Proxies().of(endpoint) is not None


def _asked(span: Range) -> Any:
    start, stop = span
    if start < 0:
        return {"suffix": -start}
    return {"offset": start} if stop is None else (start, stop)


# obstore has few classes of errors and no attributes on them; what happened is in the text.
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_ELSEWHERE = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect"})
_KIND = re.compile(r"kind: (\w+)")
# Answers that are allowed, and that obstore does not take: of unknown length, or everything in place of a part.
_REFUSED = re.compile("source: (NotPartial|Header)")


def _status(text: str) -> int:
    found = _STATUS.search(text)
    return int(found[1]) if found else 0


def _elsewhere(text: str) -> bool:
    """Return True if the bucket is in another region, which botocore finds out."""
    code = _CODE.search(text)
    return "BareRedirect" in text or (code is not None and code[1] in _ELSEWHERE)


def _fault(error: BaseException, bucket: str | None) -> Fault:
    text = str(error)
    if not type(error).__module__.startswith("obstore") and "Error performing" not in text:
        return s3_fault(error, bucket)
    status, code = _status(text), _CODE.search(text)
    if status:
        return code_fault(code[1] if code else "", status, bucket)
    kind = _KIND.search(text)
    if kind and kind[1] == "Timeout":
        return Fault(StorageTimeoutError, "the storage did not answer in time", retry=True)
    if kind and kind[1] == "Connect" and _NOWHERE.removeprefix("http://") in text:
        return Fault(StorageError, "the server redirects to another host, which is not followed; check the address")
    if kind and kind[1] == "Connect":
        if "certificate" in text.lower():
            return Fault(StorageError, "no secure connection could be made; check the endpoint and its certificate")
        return Fault(StorageTimeoutError, "the endpoint could not be reached; check its address", retry=True)
    if kind and kind[1] in ("Interrupted", "Decode"):
        return Fault(StorageError, "the answer was cut short", retry=True)
    if kind:
        return Fault(StorageError, f"the connection failed ({kind[1].lower()})", retry=True)
    return Fault(StorageError, text.partition("\n")[0])
