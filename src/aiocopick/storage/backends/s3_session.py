"""aiobotocore's classes as S3 needs them: requests that are sent once, to one host, and answers parsed off the event loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.parsers import AioResponseParserFactory, AioRestXMLParser

from aiocopick.concurrency.threads import in_thread
from aiocopick.storage.backends.s3_answers import LARGE
from aiocopick.storage.backends.sessions import prepared


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
