"""Meaning of a backend's failure: our error for it, and if a retry can help."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from aiocopick.errors import (
    AccessDeniedError,
    CopickError,
    InvalidNameError,
    NotFoundError,
    StorageError,
    StorageTimeoutError,
)
from aiocopick.extras import advice

RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that may change after a while."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The meaning of one failed attempt.

    Parameters
    ----------
    error : type
        Our error class.
    reason : str
        What happened, in plain words and without secrets; the path is put before it.
    retry : bool
        True if the same request may succeed later.
    after : float, optional
        Seconds the server asked to wait before that.
    forbidden : bool
        True if the server answered 403, which some servers also answer for a missing object.
    """

    error: type[CopickError]
    reason: str
    retry: bool = False
    after: float | None = None
    forbidden: bool = False


class TruncatedError(OSError):
    """Fewer bytes arrived than were promised, or their number cannot be known."""


class AnswerError(Exception):
    """An answer of the wrong kind. The text describes the answer; a retry does not help."""


class TooLargeError(AnswerError):
    """A file has more bytes than may be read of one of its kind."""


def not_a_listing(what: str) -> AnswerError:
    """Return the error for an answer to a listing that does not list anything.

    Parameters
    ----------
    what : str
        The received answer, such as ``"a page of text/html"``.
    """
    return AnswerError(
        f"the server answered with {what}, which is not a listing, so it cannot be seen what is stored there; "
        "check the address, and if the server has no listings, open the project with a catalogue (catalog=)"
    )


MISSING = "nothing is stored there"
DENIED = "access denied; check the credentials and their rights"


def status_fault(status: int, reason: str = "", headers: Mapping[str, str] | None = None) -> Fault:
    """Return the meaning of an HTTP status."""
    if status in (404, 410):
        return Fault(NotFoundError, MISSING)
    if status in (401, 403, 407):
        return Fault(AccessDeniedError, DENIED, forbidden=status == 403)
    if 300 <= status < 400 and status != 304:
        text = f"the server answered {status}, a redirect, which is not followed; give the address that it leads to"
        return Fault(StorageError, text)
    text = f"the server answered {status} {reason}".rstrip()
    return Fault(StorageError, text, status in RETRIED_STATUS, retry_after(headers or {}))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, given as a number or as a date (RFC 9110, 10.2.3)."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


_CONNECTION_ERRNOS = frozenset(
    {
        errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.EHOSTUNREACH, errno.ENETUNREACH,
        errno.ENETDOWN, errno.EHOSTDOWN,
    }
)  # fmt: skip
_PASSING_ERRNOS = frozenset({errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.EBUSY, errno.ESTALE})


def common_fault(error: BaseException) -> Fault:
    """Return the meaning of an exception that every backend may raise: of the system, asyncio, aiohttp or ssl."""
    if isinstance(error, AnswerError):
        return Fault(StorageError, str(error))
    if isinstance(error, TruncatedError):
        return Fault(StorageError, f"the answer was cut short ({error})", retry=True)
    if type(error).__name__ == "ClientPayloadError":
        return Fault(StorageError, "the answer was cut short", retry=True)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Fault(StorageError, "the certificate of the server could not be verified")
    inner = getattr(error, "os_error", None)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return common_fault(inner)
    if isinstance(error, TimeoutError):
        return Fault(StorageTimeoutError, "the storage did not answer in time", retry=True)
    if isinstance(error, socket.gaierror) or isinstance(inner, socket.gaierror):
        return Fault(StorageTimeoutError, "the host name could not be resolved; check the endpoint", retry=True)
    if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)):
        return Fault(NotFoundError, MISSING)
    if isinstance(error, PermissionError):
        return Fault(AccessDeniedError, DENIED)
    if isinstance(error, ConnectionError) or _is_network(error):
        if getattr(inner or error, "errno", None) == errno.ECONNREFUSED:
            return Fault(StorageTimeoutError, "nothing listens at the endpoint; check its address", retry=True)
        return Fault(StorageError, f"the connection failed ({type(error).__name__})", retry=True)
    if isinstance(error, OSError):
        return _system_fault(error)
    if isinstance(error, ImportError):
        return Fault(StorageError, f"this storage needs {advice(error)}")
    return Fault(StorageError, f"{type(error).__name__}: {error}")


def _is_network(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _CONNECTION_ERRNOS:
        return True
    # By name: importing aiohttp here would make every local project pay for it.
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.partition(".")[0] == "aiohttp"}
    return bool(names & {"ClientConnectionError", "ServerDisconnectedError", "ClientOSError"})


def _system_fault(error: OSError) -> Fault:
    if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ):
        return Fault(InvalidNameError, "the file system cannot hold such a name; use a shorter or simpler one")
    if error.errno == errno.EROFS:
        return Fault(AccessDeniedError, "the file system is mounted read-only")
    if error.errno == errno.ENOSPC or error.errno == errno.EDQUOT:
        return Fault(StorageError, "no space is left")
    reason = error.strerror or str(error) or type(error).__name__
    return Fault(StorageError, reason, retry=error.errno in _PASSING_ERRNOS)
