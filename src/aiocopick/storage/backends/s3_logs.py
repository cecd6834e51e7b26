"""botocore writes whole requests into its DEBUG log, session token and all: here they are taken out."""

from __future__ import annotations

import functools
import logging
import re

_LOGGERS = ("botocore.auth", "botocore.endpoint", "botocore.httpsession")
_SECRETS = re.compile(
    r"""(x-amz-security-token['"]?\s*[:=]\s*b?['"]?|Credential=|Signature=|X-Amz-\w+=)[^'"\s,;&/]+""", re.IGNORECASE
)


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record pass, without what is secret in it."""
        text = record.getMessage()
        redacted = _SECRETS.sub(r"\1***", text)
        if redacted != text:
            record.msg, record.args = redacted, ()
        return True


@functools.cache
def redact_logs() -> None:
    """Filter the loggers that requests are written to, once in a process."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_Redacting())
