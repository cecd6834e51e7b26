"""What failures mean: each is one of our errors, says what to do, and is repeated only where that helps."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from azure.core.exceptions import HttpResponseError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ProfileNotFound

from aiocopick.concurrency.backoff import pause
from aiocopick.errors import (
    AccessDeniedError,
    CopickError,
    InvalidNameError,
    NotFoundError,
    StorageError,
    StorageTimeoutError,
)
from aiocopick.storage.backends.azure import AzureBackend
from aiocopick.storage.backends.s3_errors import KeyFailure, s3_fault
from aiocopick.storage.faults import RETRIED_STATUS, TruncatedError, common_fault, retry_after, status_fault


def client_error(code: str, status: int, headers: dict[str, str] | None = None) -> ClientError:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}
    return ClientError({"Error": {"Code": code, "Message": "told"}, "ResponseMetadata": metadata}, "GetObject")


@pytest.mark.parametrize(
    ("error", "kind", "retried", "told"),
    [
        (client_error("NoSuchKey", 404), NotFoundError, False, "nothing"),
        (client_error("404", 404), NotFoundError, False, "nothing"),
        (client_error("NoSuchBucket", 404), NotFoundError, False, "bucket mine does not exist"),
        (client_error("AccessDenied", 403), AccessDeniedError, False, "rights"),
        (client_error("403", 403), AccessDeniedError, False, "rights"),
        (client_error("InvalidAccessKeyId", 403), AccessDeniedError, False, "credentials"),
        (client_error("SignatureDoesNotMatch", 403), AccessDeniedError, False, "credentials"),
        # Expired credentials come as 400, and waiting does not renew them.
        (client_error("ExpiredToken", 400), AccessDeniedError, False, "expired"),
        (client_error("TokenRefreshRequired", 400), AccessDeniedError, False, "expired"),
        (client_error("RequestTimeTooSkewed", 403), AccessDeniedError, False, "clock"),
        (client_error("SlowDown", 503), StorageError, True, "SlowDown"),
        (client_error("InternalError", 500), StorageError, True, "InternalError"),
        (client_error("RequestTimeout", 400), StorageError, True, "RequestTimeout"),
        (client_error("ConditionalRequestConflict", 409), StorageError, True, "Conflict"),
        (client_error("PermanentRedirect", 301), StorageError, False, "region_name"),
        (client_error("NotImplemented", 501), StorageError, False, "operation"),
        (client_error("Unheard", 418), StorageError, False, "418"),
        (NoCredentialsError(), AccessDeniedError, False, "anon=True"),
        (ProfileNotFound(profile="x"), AccessDeniedError, False, "profile"),
        (EndpointConnectionError(endpoint_url="http://x"), StorageTimeoutError, True, "endpoint"),
        (KeyFailure([{"Code": "AccessDenied", "Key": "a/b"}]), AccessDeniedError, False, "a/b"),
        (KeyFailure([{"Code": "InternalError", "Key": "a/b"}]), StorageError, True, "1 objects"),
    ],
)
def test_what_s3_says(error: Exception, kind: type[CopickError], retried: bool, told: str) -> None:
    fault = s3_fault(error, "mine")
    assert (fault.error, fault.retry) == (kind, retried)
    assert told in fault.reason


@pytest.mark.parametrize("status", sorted(RETRIED_STATUS))
def test_passing_statuses_are_repeated(status: int) -> None:
    assert status_fault(status).retry
    assert status_fault(status).error is StorageError


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AccessDeniedError),
        (403, AccessDeniedError),
        (404, NotFoundError),
        (410, NotFoundError),
        (400, StorageError),
    ],
)
def test_definite_statuses_are_not(status: int, kind: type[CopickError]) -> None:
    assert not status_fault(status).retry
    assert status_fault(status).error is kind


def test_a_pause_is_asked_for_in_seconds_or_by_date() -> None:
    assert retry_after({"Retry-After": "3"}) == 3.0
    assert retry_after({"retry-after": "-3"}) == 0.0
    later = datetime.now(UTC) + timedelta(seconds=100)
    assert 90 < (retry_after({"Retry-After": format_datetime(later)}) or 0) <= 100
    assert retry_after({"Retry-After": "soon"}) is None
    assert retry_after({}) is None


@pytest.mark.parametrize(
    ("error", "kind", "retried"),
    [
        (FileNotFoundError("x"), NotFoundError, False),
        (NotADirectoryError("x"), NotFoundError, False),
        (PermissionError("x"), AccessDeniedError, False),
        (TimeoutError(), StorageTimeoutError, True),
        (ConnectionResetError("x"), StorageError, True),
        (BrokenPipeError("x"), StorageError, True),
        (TruncatedError("1 of 2 bytes"), StorageError, True),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), StorageError, True),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), StorageError, False),
        (OSError(errno.EIO, os.strerror(errno.EIO)), StorageError, False),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), AccessDeniedError, False),
        (OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)), InvalidNameError, False),
        (ModuleNotFoundError("No module named 'adlfs'"), StorageError, False),
        (ZeroDivisionError("x"), StorageError, False),
    ],
)
def test_what_the_system_says(error: Exception, kind: type[CopickError], retried: bool) -> None:
    fault = common_fault(error)
    assert (fault.error, fault.retry) == (kind, retried)
    assert fault.reason


def test_pauses_grow_are_spread_and_have_an_end() -> None:
    for attempt, longest in [(0, 0.1), (1, 0.2), (3, 0.8), (30, 5.0)]:
        pauses = [pause(attempt) for _ in range(50)]
        assert all(longest / 2 <= seconds <= longest for seconds in pauses)
        assert len(set(pauses)) > 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            ModuleNotFoundError("No module named 'x'", name="x"),
            "this storage needs x, which is not installed: pip install x",
        ),
        (ZeroDivisionError("x"), "ZeroDivisionError: x"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("as told"), "as told"),
        (OSError(), "OSError"),
    ],
)
def test_what_is_not_known_is_told_as_it_is(error: Exception, told: str) -> None:
    assert common_fault(error).reason == told


def test_azure_may_ask_for_a_pause() -> None:
    response = SimpleNamespace(status_code=503, reason="busy", headers={"Retry-After": "7"})
    fault = AzureBackend.meaning(HttpResponseError("busy", response=response))
    assert (fault.error, fault.retry, fault.after) == (StorageError, True, 7.0)
    bare = HttpResponseError("busy", response=SimpleNamespace(status_code=503, reason="busy"))
    assert AzureBackend.meaning(bare).after is None
