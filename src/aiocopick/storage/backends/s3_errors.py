"""Meaning of botocore's exceptions. Found by name: this module is imported before botocore, and botocore creates
classes at run time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiocopick.errors import AccessDeniedError, NotFoundError, StorageError, StorageTimeoutError
from aiocopick.storage.faults import DENIED, MISSING, Fault, common_fault, not_a_listing, retry_after, status_fault

_DENIED = frozenset(
    {
        "AccessDenied", "AllAccessDisabled", "Forbidden", "InvalidAccessKeyId", "InvalidSecurity", "NotSignedUp",
        "SignatureDoesNotMatch", "UnauthorizedAccess", "AccountProblem", "AuthorizationHeaderMalformed",
    }
)  # fmt: skip
_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "RequestExpired"}
)
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound"})
_RETRIED = frozenset(
    {
        "SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "InternalError", "RequestTimeout",
        "BadDigest", "IncompleteBody", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests",
        "503", "500", "ConditionalRequestConflict", "OperationAborted", "XAmzContentSHA256Mismatch", "ServerBusy",
        "Busy",
    }
)  # fmt: skip
_CREDENTIALS = frozenset(
    {
        "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "UnauthorizedSSOTokenError",
        "TokenRetrievalError", "SSOTokenLoadError", "LoginRefreshRequired", "NoAuthTokenError",
    }
)  # fmt: skip
_UNREACHABLE = frozenset({"EndpointConnectionError", "ProxyConnectionError"})
_CONNECTION = frozenset({"ConnectionClosedError", "HTTPClientError", "ConnectionError"})
_TIMEOUT = frozenset({"ReadTimeoutError", "ConnectTimeoutError"})
_STREAMING = frozenset({"ResponseStreamingError", "IncompleteReadError"})


class KeyFailure(Exception):
    """Some keys of a batch could not be deleted.

    Parameters
    ----------
    failed : sequence of dict
        Their ``Key``, ``Code`` and ``Message``.
    """

    def __init__(self, failed: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(f"{len(failed)} keys")
        self.failed = failed


def s3_fault(error: BaseException, bucket: str | None) -> Fault:
    """Return the meaning of an exception of botocore, or below it."""
    if isinstance(error, KeyFailure):
        fault = code_fault(str(error.failed[0].get("Code", "")), 500, bucket)
        count, key = len(error.failed), error.failed[0].get("Key")
        return Fault(
            fault.error, f"{count} objects were not deleted, the first of them {key}: {fault.reason}", fault.retry
        )
    response = getattr(error, "response", None)
    if isinstance(response, Mapping) and "Error" in response:
        metadata = response.get("ResponseMetadata", {})
        code = str(response["Error"].get("Code", ""))
        fault = code_fault(code, int(metadata.get("HTTPStatusCode", 0)), bucket)
        return replace(fault, after=retry_after(metadata.get("HTTPHeaders", {})))
    names = {kind.__name__ for kind in type(error).__mro__}
    if "ResponseParserError" in names:
        return Fault(StorageError, str(not_a_listing("text that is not XML")))
    if names & _CREDENTIALS:
        reason = "no credentials were found; give key and secret in fs_args, or anon=True for public data"
        return Fault(AccessDeniedError, reason)
    if names & {"ProfileNotFound"}:
        return Fault(AccessDeniedError, "the profile in fs_args is not in the configuration of AWS")
    if names & {"ParamValidationError"}:
        return Fault(StorageError, "the request was refused before it was sent; check the bucket name and fs_args")
    if names & {"SSLError"}:
        return Fault(StorageError, "no secure connection could be made; check the endpoint and its certificate")
    if names & _TIMEOUT:
        return Fault(StorageTimeoutError, "the storage did not answer in time", retry=True)
    if names & _STREAMING:
        return Fault(StorageError, "the answer was cut short", retry=True)
    if names & _UNREACHABLE:
        return Fault(StorageTimeoutError, "the endpoint could not be reached; check its address", retry=True)
    if names & _CONNECTION and type(error).__module__.startswith(("botocore", "aiobotocore")):
        return Fault(StorageError, "the connection failed", retry=True)
    return common_fault(error)


def code_fault(code: str, status: int, bucket: str | None) -> Fault:
    """Return the meaning of an error code of S3, or of the HTTP status if the code is unknown."""
    if code == "NoSuchBucket":
        named = "the bucket" if bucket is None else f"the bucket {bucket}"
        return Fault(NotFoundError, f"{named} does not exist; check its name, or create it")
    if code in _EXPIRED:
        return Fault(AccessDeniedError, "the credentials have expired; renew them")
    if code in ("RequestTimeTooSkewed",):
        return Fault(AccessDeniedError, "the clock of this machine is wrong, so the request was refused")
    if code in _DENIED:
        return Fault(AccessDeniedError, DENIED, forbidden=code in ("AccessDenied", "Forbidden"))
    if code in _MISSING:
        return Fault(NotFoundError, MISSING)
    if code in ("PermanentRedirect", "IllegalLocationConstraintException"):
        return Fault(StorageError, "the bucket is in another region; set client_kwargs={'region_name': ...} in fs_args")
    if code == "NotImplemented":
        return Fault(StorageError, "the server does not know this operation")
    if code in _RETRIED:
        return Fault(StorageError, f"the server answered {code}", retry=True)
    return status_fault(status, code)
