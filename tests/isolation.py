"""What keeps a test run to this machine: settings of its environment, and a guard on sockets."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# Addresses reserved for documentation: never routed, so tests may use them as "nobody answers".
NOWHERE = [ipaddress.ip_network(block) for block in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "aiocopick-test",
    "AWS_SECRET_ACCESS_KEY": "aiocopick-test-only",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_GCE_CHECK": "true",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}
UNSET = (
    "AIOCOPICK_CACHE",
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "STORAGE_EMULATOR_HOST",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
)

KEEP_NOTHING = "AIOCOPICK_TEST_NO_BYTECODE"
"""Environment variable of whoever changes the sources faster than bytecode can tell (`scripts/mutants.py`)."""


class OutsideError(RuntimeError):
    """A test tried to reach another machine."""


def isolate_environment() -> None:
    """Replace the credentials and endpoints of whoever runs the tests, for this process and its children.

    A shell starts what it puts into the background deaf to Ctrl-C; some tests are about that. Tests start hundreds of
    processes: where Python keeps no bytecode, each would compile all that it imports.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(SETTINGS)
    for name in UNSET:
        os.environ.pop(name, None)
    if KEEP_NOTHING not in os.environ:
        sys.dont_write_bytecode = False
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@contextmanager
def loopback_only() -> Iterator[None]:
    """Refuse connections of this process to other machines. Not an OSError: a library would take that for an answer."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _refuse_outside(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_outside(self, address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        yield


def _refuse_outside(connecting: socket.socket, address: Any) -> None:
    if connecting.family not in (socket.AF_INET, socket.AF_INET6):
        return
    host = address[0]
    if not _is_allowed(host):
        # The standard library closes the socket after an OSError only.
        connecting.close()
        raise OutsideError(f"a test connects to {host}; tests stay on this machine")


def _is_allowed(host: str) -> bool:
    if host in ("localhost", ""):
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    return found.is_loopback or any(found in block for block in NOWHERE)
