"""Removal of secrets from botocore's DEBUG log, which contains whole requests, session token included."""

from __future__ import annotations

import functools
import logging
import re

_LOGGERS = (
    "botocore.auth", "botocore.client", "botocore.endpoint", "botocore.handlers", "botocore.hooks",
    "botocore.httpsession", "botocore.parsers", "botocore.regions", "botocore.utils", "s3fs",
)  # fmt: skip
# Session tokens and keys of customers (SSE-C), as headers and as arguments, bytes and text, quoted or not.
_NAMED = re.compile(
    r"""((?:x-amz-security-token|x-amz-(?:copy-source-)?server-side-encryption-customer-key(?:-md5)?"""
    r"""|(?:CopySource)?SSECustomerKey(?:MD5)?|aws_secret_access_key|aws_session_token)['"]?\s*+[:=]\s*+)"""
    r"""(?:b?'(?:[^'\\]|\\.)*+'|b?"(?:[^"\\]|\\.)*+"|[^\s,;&'"}]++)""",
    re.IGNORECASE,
)
_IN_SIGNATURES = re.compile(r"""(Credential=|Signature=|X-Amz-\w++=)[^'"\s,;&/]++""", re.IGNORECASE)


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record pass, without its secrets."""
        text = record.getMessage()
        redacted = _IN_SIGNATURES.sub(r"\1***", _NAMED.sub(r"\1***", text))
        if redacted != text:
            record.msg, record.args = redacted, ()
        return True


@functools.cache
def redact_logs() -> None:
    """Filter the loggers that requests are written to, once in a process."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_Redacting())
